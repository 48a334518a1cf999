"""Conditions, and which of four documents they let through."""

from __future__ import annotations

from typing import Any, Final

from tests.fixtures.library import told
from trunkline.v1 import retrieval_pb2

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
