"""Which names mean a model, compared exactly. In JSON: `["equals", "gpt-4o"]`, `["or", [clause, ...]]`."""

from __future__ import annotations

import re
from typing import TypeAlias

import msgspec


class Equals(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="equals"):
    """The name itself."""

    text: str

    def matches(self, name: str) -> bool:
        return name == self.text


class StartsWith(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="starts_with"):
    """A name with this beginning."""

    text: str

    def matches(self, name: str) -> bool:
        return name.startswith(self.text)


class EndsWith(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="ends_with"):
    """A name with this end."""

    text: str

    def matches(self, name: str) -> bool:
        return name.endswith(self.text)


class Contains(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="contains"):
    """A name with this somewhere in it."""

    text: str

    def matches(self, name: str) -> bool:
        return self.text in name


class Regex(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="regex"):
    """A name in which this is found."""

    pattern: str

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(f"{self.pattern!r} is not a regular expression: {error}") from error

    def matches(self, name: str) -> bool:
        return re.search(self.pattern, name) is not None


class Or(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="or"):
    """Any of these."""

    clauses: tuple[Clause, ...]

    def matches(self, name: str) -> bool:
        return any(clause.matches(name) for clause in self.clauses)


class And(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="and"):
    """All of these."""

    clauses: tuple[Clause, ...]

    def matches(self, name: str) -> bool:
        return all(clause.matches(name) for clause in self.clauses)


Leaf: TypeAlias = Equals | StartsWith | EndsWith | Contains | Regex
Clause: TypeAlias = Leaf | Or | And
EVERY_NAME = StartsWith("")


def names(clause: Clause) -> tuple[list[str], list[Clause]]:
    """The names that a clause spells out, and what of it remains a pattern."""
    choices = clause.clauses if isinstance(clause, Or) else (clause,)
    spelled = [choice.text for choice in choices if isinstance(choice, Equals)]
    return spelled, [choice for choice in choices if not isinstance(choice, Equals)]
