"""Finders of other distributions: entry points of one group, loaded at the start, kept out when they do not load.

Each gives a function that finds the first thing of its kind: `(text, start, end)` to a place in that stretch, or None.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from typing import Final

from trunkline_server.core.guard.span import Finder, Span
from trunkline_server.core.plugins import brought

GROUP: Final = "trunkline.detectors"
_KIND: Final = re.compile(r"[A-Z][A-Z0-9_]{1,31}")
_log = logging.getLogger(__name__)

Find = Callable[[str, int, int], tuple[int, int] | None]


class Detector:
    """Somebody's finder of personal data. What it says is taken for what it can be: a place in the text that it got."""

    __slots__ = ("_find", "kind")

    spans_words = True
    is_open = True

    def __init__(self, kind: str, find: Find) -> None:
        self.kind = kind
        self._find = find

    def find(self, text: str, start: int, end: int) -> Span | None:
        found = self._find(text, start, end)
        if found is None or not start <= found[0] < found[1] <= end:
            return None
        return Span(*found, self.kind)


def installed() -> tuple[Finder, ...]:
    """What the entry points give. Each is called like the kind that it finds."""
    return tuple(_loaded())


def _loaded() -> Iterator[Finder]:
    for entry in brought(GROUP):
        reason, find = _load(entry)
        if find is None:
            _log.warning("detector.broken name=%s reason=%r", entry.name, reason)
        else:
            yield Detector(entry.name, find)


def _load(entry: EntryPoint) -> tuple[str, Find | None]:
    if not _KIND.fullmatch(entry.name):
        return "its name must be capital letters, digits and '_'", None
    try:
        find = entry.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - other people's code may raise anything
        return f"its package failed with {type(error).__name__}", None
    return ("", find) if callable(find) else ("it is no function", None)
