"""Conditions, which of four documents they let through, and what each of them means, told apart from any store."""

from __future__ import annotations

from typing import Any, Final

from tests.fixtures.library import told
from trunkline.v1 import retrieval_pb2
from trunkline_server.core.collections.filters import bounds_of, is_number, values_of
from trunkline_server.core.collections.metadata import Fact, Facts

CONDITIONS: Final = {
    "place=north": (retrieval_pb2.Condition(key="place", equals=told("north")), {"a", "d"}),
    "place=6": (retrieval_pb2.Condition(key="place", equals=told(6.0)), set()),
    "depth=6": (retrieval_pb2.Condition(key="depth", equals=told(6.0)), {"b"}),
    "open": (retrieval_pb2.Condition(key="open", equals=told(True)), {"a"}),
    "tags=sea": (retrieval_pb2.Condition(key="tags", equals=told("sea")), {"a", "c"}),
    "place in": (
        retrieval_pb2.Condition(
            key="place", any_of=retrieval_pb2.MetadataValues(values=[told('so"uth'), told("west")])
        ),
        {"b"},
    ),
    "depth>6": (
        retrieval_pb2.Condition(key="depth", range=retrieval_pb2.NumberRange(greater_than=6)),
        {"a"},
    ),
    "6<=depth<12": (
        retrieval_pb2.Condition(key="depth", range=retrieval_pb2.NumberRange(at_least=6, less_than=12)),
        {"b"},
    ),
    "any depth": (retrieval_pb2.Condition(key="depth", range=retrieval_pb2.NumberRange()), {"a", "b"}),
    "depth there": (retrieval_pb2.Condition(key="depth", exists=True), {"a", "b", "c"}),
    "depth not there": (retrieval_pb2.Condition(key="depth", exists=False), {"d"}),
}
FACTS: Final[dict[str, dict[str, Any]]] = {
    "a": {"place": "north", "depth": 12.0, "open": True, "tags": ["sea", "ship"]},
    "b": {"place": 'so"uth', "depth": 6.0, "open": False, "tags": []},
    "c": {"place": "", "depth": "deep", "tags": ["sea"]},
    "d": {"place": "north"},
}


def lets_through(filter: retrieval_pb2.MetadataFilter, facts: Facts) -> bool:
    """Whether a document with these facts is searched."""
    return (
        all(holds(each, facts) for each in filter.must)
        and (not filter.should or any(holds(each, facts) for each in filter.should))
        and not any(holds(each, facts) for each in filter.must_not)
    )


def holds(condition: retrieval_pb2.Condition, facts: Facts) -> bool:
    """One condition."""
    fact = facts.get(condition.key)
    match condition.WhichOneof("test"):
        case "exists":
            return (fact is not None) == condition.exists
        case "range":
            return is_number(fact) and all(_within(sign, fact, bound) for _, sign, bound in bounds_of(condition))
        case _:
            told = fact if isinstance(fact, list) else [fact]
            return any(_same(each, wanted) for each in told for wanted in values_of(condition))


def _same(fact: object, wanted: Fact) -> bool:
    return type(fact) is type(wanted) and fact == wanted


def _within(sign: str, number: float, bound: float) -> bool:
    match sign:
        case ">":
            return number > bound
        case ">=":
            return number >= bound
        case "<":
            return number < bound
        case _:
            return number <= bound
