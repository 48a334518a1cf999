"""Finders that are patterns with a check."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import re2

from trunkline_server.core.guard.span import Span

_GAP: Final = re.compile("[ \u00a0.)-]")
_LOCAL_MAX: Final = 64
_LOCAL: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._%+'-")
_DOMAIN: Final = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,40}[A-Za-z0-9])?\.){1,4}[A-Za-z]{2,24}(?![A-Za-z0-9])")
_DOMAIN_MAX: Final = 120


@dataclass(frozen=True, slots=True)
class PatternFinder:
    """What a pattern of bounded length matches and a check confirms; `in_groups`: it may have gaps."""

    kind: str
    pattern: re.Pattern[str]
    is_real: Callable[[str], bool] = bool
    in_groups: bool = False
    spans_words: bool = False
    is_open: bool = False

    def find(self, text: str, start: int, end: int) -> Span | None:
        while match := self.pattern.search(text, start, end):
            start = match.start()
            for length in _lengths(match[0]) if self.in_groups else (len(match[0]),):
                if self.is_real(match[0][:length]):
                    return Span(start, start + length, self.kind)
            start += 1
        return None


def _lengths(text: str) -> Iterator[int]:
    """All of it, then without its last groups: what follows a number may look like more of it."""
    yield len(text)
    ends = [gap.start() for gap in _GAP.finditer(text)]
    yield from (end for end in reversed(ends) if text[end - 1].isalnum())


@dataclass(frozen=True, slots=True)
class EmailFinder:
    """Addresses of mail, from their sign outwards: a pattern would try every word."""

    kind: str = "EMAIL"
    spans_words: bool = False
    is_open: bool = False

    def find(self, text: str, start: int, end: int) -> Span | None:
        sign = text.find("@", start, end)
        while sign >= 0:
            begin = _local_begin(text, start, sign)
            domain = _DOMAIN.match(text, sign + 1, min(end, sign + 1 + _DOMAIN_MAX))
            if begin < sign and domain is not None:
                return Span(begin, domain.end(), self.kind)
            sign = text.find("@", sign + 1, end)
        return None


def _local_begin(text: str, start: int, sign: int) -> int:
    first = max(start, sign - _LOCAL_MAX)
    while sign > first and text[sign - 1] in _LOCAL:
        sign -= 1
    return sign


class OpenFinder:
    """A pattern of an operator or a tenant, in RE2's language, which takes linear time whatever the pattern."""

    __slots__ = ("_pattern", "kind")

    spans_words = True
    is_open = True

    def __init__(self, kind: str, pattern: str) -> None:
        self.kind = kind
        self._pattern = compile_pattern(pattern)

    def find(self, text: str, start: int, end: int) -> Span | None:
        while match := self._pattern.search(text, start, end):
            if match.end() > match.start():
                return Span(match.start(), match.end(), self.kind)
            start = match.start() + 1
            if start > end:
                return None
        return None


def compile_pattern(pattern: str) -> Any:
    """Raises re2.error."""
    options = re2.Options()
    options.max_mem = 1 << 20
    options.log_errors = False
    return re2.compile(pattern, options=options)
