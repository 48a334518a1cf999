"""Which documents a search looks at: conditions on their facts, as PostgreSQL's jsonpath.

A condition on what is not there, or of another type, does not hold; so its opposite does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final, Literal, TypeAlias, TypeGuard

from trunkline.v1 import retrieval_pb2
from trunkline_server.core.collections.metadata import Fact, fact_of
from trunkline_server.core.errors import invalid
from trunkline_server.core.question import check_name

Bound: TypeAlias = Literal["greater_than", "at_least", "less_than", "at_most"]

BOUNDS: Final[tuple[tuple[Bound, str], ...]] = (
    ("greater_than", ">"),
    ("at_least", ">="),
    ("less_than", "<"),
    ("at_most", "<="),
)


def check(filter: retrieval_pb2.MetadataFilter, path: str) -> None:
    """Raises VALIDATION where a condition could be read in two ways, or by no store."""
    for part in ("must", "should", "must_not"):
        for index, condition in enumerate(getattr(filter, part)):
            for value in values_of(condition):
                _check_value(value, f"{path}.{part}[{index}]")


def values_of(condition: retrieval_pb2.Condition) -> list[Fact]:
    """Those of which it wants one."""
    if condition.WhichOneof("test") == "equals":
        return [fact_of(condition.equals)]
    return [fact_of(value) for value in condition.any_of.values]


def bounds_of(condition: retrieval_pb2.Condition) -> list[tuple[str, str, float]]:
    """Of a range: the name of each bound that is set, its sign, and the number."""
    told = condition.range
    return [(name, sign, getattr(told, name)) for name, sign in BOUNDS if told.HasField(name)]


def jsonpath(filter: retrieval_pb2.MetadataFilter) -> str | None:
    """A predicate that is true of the facts that the filter lets through; None where it lets all through."""
    clauses = [_path(each) for each in filter.must]
    if filter.should:
        clauses.append(_any(_path(each) for each in filter.should))
    clauses.extend(f"!({_path(each)})" for each in filter.must_not)
    return " && ".join(clauses) or None


def _path(condition: retrieval_pb2.Condition) -> str:
    key = f"$.{json.dumps(condition.key)}"
    match condition.WhichOneof("test"):
        case "exists":
            return f"exists({key})" if condition.exists else f"!(exists({key}))"
        case "range":
            told = ['@.type() == "number"', *(f"@ {sign} {bound!r}" for _, sign, bound in bounds_of(condition))]
            return f"exists({key} ? ({' && '.join(told)}))"
        case _:
            return f"exists({key} ? ({_any(f'@ == {json.dumps(value)}' for value in values_of(condition))}))"


def _any(clauses: Iterable[str]) -> str:
    return f"({' || '.join(clauses)})"


def _check_value(value: Fact, path: str) -> None:
    if isinstance(value, list):
        raise invalid(path, "compares with several texts; name each in any_of")
    if isinstance(value, str):
        check_name(value, path)


def is_number(fact: object) -> TypeGuard[float]:
    """Other types are not counted as numbers."""
    return isinstance(fact, float) and not isinstance(fact, bool)
