"""What the pages tell of each reason of an error."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.site.contract import Chapter
from tools.site.tables import bare, tables

SOURCE: Final = "docs/errors.md"
PREFIX: Final = "ERROR_REASON_"
NAME: Final = re.compile(r"\b[A-Z][A-Z_]{3,}\b")


@dataclass(frozen=True)
class Reason:
    """`methods` say in their comment that they end with it: service and method."""

    name: str
    code: str
    when: str
    advice: str
    comment: str
    methods: Sequence[tuple[str, str]]


def reasons(root: Path, chapters: Iterable[Chapter]) -> list[Reason]:
    """All, in the order of `docs/errors.md`."""
    chapters = list(chapters)
    values = {value.name: value for each in chapters for enum in each.enums for value in enum.values}
    named = _named(chapters)
    rows = tables(root.joinpath(SOURCE).read_text("utf-8"), "reason")
    return [
        Reason(bare(name), bare(code), when, advice, values[PREFIX + bare(name)].comment, named.get(bare(name), []))
        for name, code, when, advice in rows
    ]


def _named(chapters: Iterable[Chapter]) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for service in (each.service for each in chapters if each.service):
        for method in service.methods:
            for name in dict.fromkeys(NAME.findall(method.comment)):
                found.setdefault(name, []).append((service.name, method.name))
    return found
