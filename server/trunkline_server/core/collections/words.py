"""Facts for stores that keep texts and numbers of one type a field: whatever a condition can ask for is a word.

Words are hashes, so what a caller wrote is never spelled into a query, and none is long. Only bounds need the numbers
themselves, which stand in a field for each key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from trunkline.v1 import retrieval_pb2
from trunkline_server.core.collections import filters
from trunkline_server.core.collections.filters import is_number
from trunkline_server.core.collections.metadata import Fact, Facts


@dataclass(frozen=True, slots=True)
class Test:
    """What a condition asks: one of the words, and each bound of the number in `field`; `negated`: just not that."""

    words: list[str]
    field: str = ""
    bounds: tuple[tuple[str, float], ...] = ()
    negated: bool = False


def words_of(facts: Facts) -> list[str]:
    """All that can be asked of these facts."""
    return list(dict.fromkeys(word for key, fact in facts.items() for word in _words(key, fact)))


def numbers_of(facts: Facts) -> dict[str, float]:
    """By their fields."""
    return {field_of(key): fact for key, fact in facts.items() if is_number(fact)}


def field_of(key: str) -> str:
    """Where the numbers of a key stand: a name that every store takes."""
    return f"number_{_hashed(key)}"


def test_of(condition: retrieval_pb2.Condition) -> Test:
    """The condition, in words."""
    key = condition.key
    match condition.WhichOneof("test"):
        case "exists":
            return Test([_hashed(key, "there")], negated=not condition.exists)
        case "range":
            bounds = tuple((name, number) for name, _, number in filters.bounds_of(condition))
            return Test([_hashed(key, "number")], field_of(key), bounds)
        case _:
            return Test([_hashed(key, "is", value) for value in filters.values_of(condition)])


def _words(key: str, fact: Fact) -> Iterator[str]:
    yield _hashed(key, "there")
    if is_number(fact):
        yield _hashed(key, "number")
    for each in fact if isinstance(fact, list) else [fact]:
        yield _hashed(key, "is", each)


def _hashed(*parts: Fact) -> str:
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=12).hexdigest()
