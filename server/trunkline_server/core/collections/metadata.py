"""Facts about documents, as messages and as the JSON that stores filter by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from trunkline.v1 import retrieval_pb2
from trunkline_server.core.question import check_name

Fact: TypeAlias = str | float | bool | list[str]
Facts: TypeAlias = dict[str, Fact]


def facts_of(metadata: Mapping[str, retrieval_pb2.MetadataValue]) -> Facts:
    """All of a document."""
    return {key: fact_of(value) for key, value in metadata.items()}


def fact_of(value: retrieval_pb2.MetadataValue) -> Fact:
    """One of them."""
    match value.WhichOneof("kind"):
        case "text":
            return value.text
        case "number":
            return value.number
        case "flag":
            return value.flag
        case _:
            return list(value.texts.texts)


def check(metadata: Mapping[str, retrieval_pb2.MetadataValue], path: str) -> None:
    """Raises VALIDATION for what no store can keep."""
    for key, value in metadata.items():
        for text in (value.text, *value.texts.texts):
            check_name(text, f"{path}[{key!r}]")
