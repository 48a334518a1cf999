"""Looks through a text that grows, and gives out what no later character can change.

However a text is cut into pieces, the same comes out. What is held back is bounded: the last word where everything that
is looked for is one word or number; `REACH` characters where phrases are; twice that where patterns are not our own.

    fed ──▶ held ──(decided)──▶ told, with what was found replaced
                        └──(something that must not be told)──▶ blocked: nothing more is told
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol

from trunkline_server.core.guard.span import REACH, Finder, Span

Replace = Callable[[str, str], str | None]
"""What to tell in place of a value of a kind; None: nothing from here on."""

_BLANKS: Final = " \u00a0"


class Stage(Protocol):
    """A text goes in piece by piece, and comes out changed; nothing comes out any more once it is blocked."""

    @property
    def blocked(self) -> bool: ...

    def feed(self, text: str) -> str: ...

    def close(self) -> str: ...


class Screen:
    """One text on its way through."""

    __slots__ = ("_at", "_finders", "_held", "_is_open", "_replace", "_spans_words", "blocked")

    def __init__(self, finders: Sequence[Finder], replace: Replace) -> None:
        self.blocked = False
        self._finders = finders
        self._replace = replace
        self._spans_words = any(finder.spans_words for finder in finders)
        self._is_open = any(finder.is_open for finder in finders)
        self._held = ""
        self._at = 0

    def feed(self, text: str) -> str:
        if self.blocked:
            return ""
        self._held += text
        return self._told(closed=False)

    def close(self) -> str:
        return self._told(closed=True)

    def _told(self, *, closed: bool) -> str:
        told: list[str] = []
        for decided, seen in self._horizons(closed=closed):
            self._pass(told, decided, seen)
            if self.blocked:
                self._held, self._at = "", 0
                break
        if self._at > 1:  # one character stays, for those who look at what comes before
            self._held, self._at = self._held[self._at - 1 :], 1
        return "".join(told)

    def _horizons(self, *, closed: bool) -> Iterator[tuple[int, int]]:
        """How far it is decided what is there, and how far to look for that."""
        length = len(self._held)
        while self._is_open and length - self._at >= 2 * REACH:
            yield self._at + REACH, self._at + 2 * REACH
        if closed:
            yield length, length
        elif not self._is_open and (decided := self._decided(length)) > self._at:
            yield decided, length

    def _decided(self, length: int) -> int:
        """Nothing that is looked for begins before this and ends behind what is known."""
        far = max(length - REACH - 2, self._at)
        return far if self._spans_words else _last_gap(self._held, far, length)

    def _pass(self, told: list[str], decided: int, seen: int) -> None:
        ahead = [finder.find(self._held, self._at, seen) for finder in self._finders]
        while self._at < decided:
            first = min(filter(None, ahead), key=_order, default=None)
            if first is None or first.start >= decided:
                told.append(self._held[self._at : decided])
                self._at = decided
                return
            told.append(self._held[self._at : first.start])
            replaced = self._replace(first.kind, self._held[first.start : first.end])
            if replaced is None:
                self.blocked = True
                return
            told.append(replaced)
            self._at = first.end
            self._catch_up(ahead, seen)

    def _catch_up(self, ahead: list[Span | None], seen: int) -> None:
        for place, span in enumerate(ahead):
            if span is not None and span.start < self._at:
                ahead[place] = self._finders[place].find(self._held, self._at, seen)


def _order(span: Span) -> tuple[int, int]:
    return span.start, -span.end


def _last_gap(text: str, far: int, length: int) -> int:
    """The last place that no word or number goes across."""
    for place in range(length, far, -1):
        if _is_gap(text, place, length):
            return place
    return far


def _is_gap(text: str, place: int, length: int) -> bool:
    before = text[place - 1]
    if before in _BLANKS:
        joins = place > 1 and _may_go_on(text[place - 2], ")") and (place == length or _may_go_on(text[place], "("))
        return not joins
    return before.isspace() or not (before.isascii() or before.isdecimal())


def _may_go_on(sign: str, bracket: str) -> bool:
    """Numbers are written in groups."""
    return sign.isdecimal() or "A" <= sign <= "Z" or sign == bracket
