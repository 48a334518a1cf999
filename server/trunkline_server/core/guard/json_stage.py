"""A text stage for JSON that grows: each string goes through as the text that it means, and is spelled again as JSON.

What stands between the strings goes through too, since it may be no JSON at all; what is replaced there gets quotes.

    between ──"──▶ in a string ──"──▶ between ──▶ ...
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import orjson

from trunkline_server.core.guard.screen import Stage

_TEXT: Final = re.compile(r'[^"\\]+')
_ESCAPE: Final = re.compile(r"\\u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|\\[^u]")
_PART: Final = re.compile(r"(?:\\u[dD][89abAB][0-9A-Fa-f]{2})?(?:\\(?:u[0-9A-Fa-f]{0,3})?)?\Z")
"""Half an escape, or half a pair of them."""


class JsonStage:
    """`inside` and `between` make the stages for strings, and for what stands around them."""

    __slots__ = ("_between", "_held", "_in_string", "_inside", "_stage")

    def __init__(self, inside: Callable[[], Stage], between: Callable[[], Stage]) -> None:
        self._inside = inside
        self._between = between
        self._in_string = False
        self._stage = between()
        self._held = ""

    @property
    def blocked(self) -> bool:
        return self._stage.blocked

    def feed(self, text: str) -> str:
        return self._told(self._held + text, closed=False)

    def close(self) -> str:
        return self._told(self._held, closed=True) + self._spelled(self._stage.close())

    def _told(self, text: str, *, closed: bool) -> str:
        told: list[str] = []
        at = 0
        while at < len(text) and not self.blocked:
            if text[at] == '"':
                told.append(self._turn())
                at += 1
                continue
            meant, end = self._read(text, at, closed=closed)
            if end == at:
                break
            told.append(self._spelled(self._stage.feed(meant)))
            at = end
        self._held = text[at:]
        return "".join(told)

    def _turn(self) -> str:
        """A string begins or ends."""
        rest = self._spelled(self._stage.close())
        if self.blocked:
            return rest
        self._in_string = not self._in_string
        self._stage = self._inside() if self._in_string else self._between()
        return f'{rest}"'

    def _read(self, text: str, at: int, *, closed: bool) -> tuple[str, int]:
        """What stands there, up to the next sign that means something; nothing where an escape is not whole."""
        if match := _TEXT.match(text, at):
            return match[0], match.end()
        if not self._in_string:
            return text[at], at + 1
        match = _ESCAPE.match(text, at)
        if not closed and _PART.match(text, at):
            return "", at
        return (_meant(match[0]), match.end()) if match else (text[at], at + 1)

    def _spelled(self, text: str) -> str:
        if not self._in_string or not text:
            return text
        return orjson.dumps(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))[1:-1].decode()


def _meant(escape: str) -> str:
    try:
        meant: str = orjson.loads(f'"{escape}"')
    except ValueError:  # half a pair, or no escape of JSON
        return "\ufffd" if escape.startswith("\\u") else escape
    return meant
