"""Reads the tables of the pages in `docs/`."""

from __future__ import annotations

import re
from typing import Final

_CODE: Final = re.compile(r"`([^`]+)`")


def tables(text: str, heading: str) -> list[list[str]]:
    """The rows of every table whose first column is called `heading`, cell by cell."""
    lines = text.splitlines()
    starts = [at for at, line in enumerate(lines) if line.startswith(f"| {heading} |")]
    if not starts:
        raise LookupError(f"no table begins with a column {heading!r}")
    return [row for start in starts for row in _rows(lines[start + 2 :])]


def bare(cell: str) -> str:
    """A cell without its code marks."""
    return cell.strip("`")


def codes(cell: str) -> list[str]:
    """Everything that is marked as code in a cell."""
    return _CODE.findall(cell)


def _rows(lines: list[str]) -> list[list[str]]:
    rows: list[list[str]] = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows
