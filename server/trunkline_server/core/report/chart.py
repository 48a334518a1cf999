"""Bars, as SVG that stands in a page of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from math import floor, log10
from typing import Final, NamedTuple

WIDTH: Final = 860
HEIGHT: Final = 200
_LEFT: Final = 64
_BOTTOM: Final = 24
_TOP: Final = 8
_LABELS_MAX: Final = 8
_BAR_MAX: Final = 48


class Bar(NamedTuple):
    """`part` is the share of `value` that is drawn in the second colour."""

    label: str
    value: float
    told: str
    part: float = 0.0


def bars(title: str, given: Sequence[Bar]) -> str:
    """A chart of its own; the title is for those who hear the page."""
    top = _round_up(max((bar.value for bar in given), default=0))
    inner = "".join([*_lines(top), *_columns(given, top)])
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{inner}</svg>'


def _lines(top: float) -> Iterator[str]:
    for share in (0.0, 0.5, 1.0):
        y = _y(share)
        yield f'<line class="rule" x1="{_LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{brief(top * share)}</text>'


def _columns(given: Sequence[Bar], top: float) -> Iterator[str]:
    room = (WIDTH - _LEFT) / max(len(given), 1)
    width = min(room * 0.7, _BAR_MAX)
    every = -(-len(given) // _LABELS_MAX) or 1
    for place, bar in enumerate(given):
        x = _LEFT + room * (place + 0.5)
        hint = f"<title>{escape(bar.label)}: {escape(bar.told)}</title>"
        yield f"<g>{hint}{_rect('bar', x, width, bar.value / top)}{_rect('part', x, width, bar.part / top)}</g>"
        if place % every == 0:
            yield f'<text class="tick" x="{x:.1f}" y="{HEIGHT - 6}" text-anchor="middle">{escape(bar.label)}</text>'


def _rect(kind: str, x: float, width: float, share: float) -> str:
    if share <= 0:
        return ""
    y = _y(share)
    height = HEIGHT - _BOTTOM - y
    return (
        f'<rect class="{kind}" x="{x - width / 2:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="2"/>'
    )


def _y(share: float) -> float:
    return _TOP + (HEIGHT - _BOTTOM - _TOP) * (1 - share)


def _round_up(value: float) -> float:
    """To 1, 2, 2.5, 5 or 10 of its power of ten."""
    if value <= 0:
        return 1.0
    power: float = 10.0 ** floor(log10(value))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= value * 0.999999)


def brief(value: float) -> str:
    """A number in few letters: 1.2k."""
    for size, sign in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{sign}"
    return f"{value:.3g}"
