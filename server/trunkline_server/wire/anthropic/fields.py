"""JSON from callers that becomes part of a body: read one level deep, so that it cannot reach beyond its place.

The values stay the texts that they are.
"""

from __future__ import annotations

from typing import Final

import msgspec
import orjson

from trunkline_server.core.errors import invalid

_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])


def fields_of(json_text: str | bytes, path: str) -> dict[str, object]:
    """The fields of the JSON object that stands at `path` of the input."""
    try:
        fields = _OBJECT.decode(json_text or b"{}")
    except (ValueError, RecursionError):
        raise invalid(f"input.{path}", "must be the text of a JSON object") from None
    return {name: orjson.Fragment(bytes(value)) for name, value in fields.items()}


def items_of(json_text: bytes, path: str) -> list[object]:
    """The items of the JSON list that stands at `path` of the input."""
    try:
        items = _LIST.decode(json_text)
    except (ValueError, RecursionError):
        raise invalid(f"input.{path}", "must be the text of a JSON list") from None
    return [orjson.Fragment(bytes(item)) for item in items]
