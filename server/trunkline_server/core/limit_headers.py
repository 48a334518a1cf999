"""What a provider says in the headers of its answers of the limits that it holds us to."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

_SPANS_S: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)")
_COUNT: Final = re.compile(r"\d{1,15}", re.ASCII)


class Counted(StrEnum):
    """What a call takes of a limit: one, its question, or what nobody knows before the answer."""

    CALLS = "calls"
    INPUT = "input"
    OUTPUT = "output"


class Unit(NamedTuple):
    """`window_s`: how long it takes to be full again at most, where the provider does not tell when it will be."""

    counted: Counted
    window_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ProviderLimit:
    """So much was left when it was told, and all of it is there again at `full_time_s` (since 1970)."""

    unit: str
    counted: Counted
    amount: int
    remaining: int
    full_time_s: float


@dataclass(frozen=True, slots=True)
class LimitHeaders:
    """How a provider spells them: `{part}` of `name` is limit, remaining or reset, `{unit}` one of `units`."""

    name: str
    units: Mapping[str, Unit]
    _remaining: Sequence[tuple[Counted, str]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        told = [(unit.counted, self._spelled(name, "remaining")) for name, unit in self.units.items()]
        object.__setattr__(self, "_remaining", told)

    def may_lack(self, headers: Mapping[str, str], needed: Mapping[Counted, int]) -> bool:
        """A quick look: whether less than that is left of anything."""
        for counted, name in self._remaining:
            remaining = _count(headers.get(name, ""))
            if remaining is not None and remaining < needed[counted]:
                return True
        return False

    def read(self, headers: Mapping[str, str], now_s: float) -> list[ProviderLimit]:
        """What can be made sense of; the rest is as if it had not been said."""
        return [limit for unit in self.units if (limit := self._limit(unit, headers, now_s)) is not None]

    def _limit(self, unit: str, headers: Mapping[str, str], now_s: float) -> ProviderLimit | None:
        limit, left, reset = (headers.get(self._spelled(unit, part), "") for part in ("limit", "remaining", "reset"))
        amount, remaining = _count(limit), _count(left)
        full_s = until(reset, now_s) or self.units[unit].window_s
        if not amount or remaining is None or remaining > amount or not full_s:
            return None
        return ProviderLimit(unit, self.units[unit].counted, amount, remaining, now_s + full_s)

    def _spelled(self, unit: str, part: str) -> str:
        return self.name.format(unit=unit, part=part)


def until(text: str, now_s: float) -> float | None:
    """Seconds, as a number, a span like `1m2.5s`, or a point in time; None where it is none of them, or over."""
    for read in (_number, _span, lambda text: _moment(text, now_s)):
        seconds = read(text)
        if seconds is not None:
            return seconds if 0 < seconds < math.inf else None
    return None


def _count(text: str) -> int | None:
    return int(text) if text and _COUNT.fullmatch(text) else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _span(text: str) -> float | None:
    pieces = _SPAN.findall(text)
    if not pieces or "".join(number + unit for number, unit in pieces) != text:
        return None
    return sum(float(number) * _SPANS_S[unit] for number, unit in pieces)


def _moment(text: str, now_s: float) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp() - now_s
    except (ValueError, OverflowError):
        return None


OPENAI: Final = LimitHeaders(
    "x-ratelimit-{part}-{unit}", {"requests": Unit(Counted.CALLS), "tokens": Unit(Counted.INPUT)}
)
ANTHROPIC: Final = LimitHeaders(
    "anthropic-ratelimit-{unit}-{part}",
    {
        "requests": Unit(Counted.CALLS),
        "tokens": Unit(Counted.INPUT),
        "input-tokens": Unit(Counted.INPUT),
        "output-tokens": Unit(Counted.OUTPUT),
    },
)
