"""The named SQL statements of a module: `-- name: find` sections of the `.sql` file that lies beside it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import LiteralString

_NAME = re.compile(r"^-- name: ([a-z][a-z0-9_]*)\n", re.MULTILINE)
_REMARK_ON_THE_NEXT = re.compile(r"(\n--[^\n]*)+\Z")


class Queries:
    """Statements as attributes: `SQL.find`. A name that the file does not have raises AttributeError."""

    def __init__(self, origin: str, statements: dict[str, str]) -> None:
        self.__dict__.update(statements)
        self._origin = origin

    def __getattr__(self, name: str) -> LiteralString:
        raise AttributeError(f"no statement {name!r} in {self.__dict__.get('_origin', 'the .sql file')}")


def load(package_file: str) -> Queries:
    """The statements for the module at `package_file` (its `__file__`)."""
    path = Path(package_file).with_suffix(".sql")
    return Queries(path.name, parse(path.read_text("utf-8"), path.name))


def parse(text: str, origin: str) -> dict[str, str]:
    """Statements by name; what stands before the first name describes the file."""
    parts = _NAME.split(text)[1:]
    names, bodies = parts[0::2], parts[1::2]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"{origin} needs `-- name: word` lines, each name once")
    return {name: _REMARK_ON_THE_NEXT.sub("", body.strip()).strip() for name, body in zip(names, bodies, strict=True)}
