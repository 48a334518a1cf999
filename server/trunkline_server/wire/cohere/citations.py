"""Sources in an answer: which of them belong to its text, and what they say about themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from trunkline.v1 import content_pb2
from trunkline_server.wire import dialect
from trunkline_server.wire.cohere.shapes import CITATION, Citation, Source

OF_TEXT: Final = (None, "TEXT_CONTENT")
OFFSET_MAX: Final = 2**31 - 1


def is_of_text(citation: Citation) -> bool:
    """Thoughts and plans have sources too, but no place for them."""
    return citation.type in OF_TEXT


def read_citation(raw: msgspec.Raw) -> Citation:
    return dialect.parse(CITATION, raw)


def by_block(citations: Sequence[msgspec.Raw]) -> dict[int | None, list[msgspec.Raw]]:
    """The citations of a whole message, by the content block that they are about."""
    found: dict[int | None, list[msgspec.Raw]] = {}
    for raw in citations:
        found.setdefault(read_citation(raw).content_index, []).append(raw)
    return found


def citation_of(told: Citation, raw: msgspec.Raw) -> content_pb2.Citation:
    """The first source stands for all; the others are in the provider's own block."""
    source = _fields(next(iter(told.sources or ()), Source()))
    return content_pb2.Citation(
        title=_text(source, "title"),
        uri=_text(source, "url"),
        cited_text=_text(source, "text") or _text(source, "snippet"),
        start_index=min(dialect.count(told.start), OFFSET_MAX),
        end_index=min(dialect.count(told.end), OFFSET_MAX),
        provider_json=dialect.verbatim(raw),
    )


def _fields(source: Source) -> Mapping[str, object]:
    fields = source.document or source.tool_output
    return fields if isinstance(fields, dict) else {}


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""
