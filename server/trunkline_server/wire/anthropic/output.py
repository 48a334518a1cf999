"""The shape of the answer: held to by the provider where it can, asked for in words where it cannot."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import orjson

from trunkline_server.core.ask import Ask
from trunkline_server.wire.anthropic.schema import OpenObjectError, fitted

JSON_OBJECT: Final = "Answer with one JSON object and nothing else."
JSON_SCHEMA: Final = "Answer with JSON that meets this JSON Schema, and nothing else:\n"


@dataclass(frozen=True, slots=True)
class Output:
    """`format` belongs into `output_config`; `instruction` is one more line of the system prompt."""

    format: dict[str, object] = field(default_factory=dict)
    instruction: str = ""


def encode_output(ask: Ask) -> Output:
    """The wanted shape. The gateway checks it in any case, so words are enough for what has no field."""
    kind = ask.input.output_format.WhichOneof("kind")
    if kind is None:
        return Output()
    if kind == "json_object":
        return Output(instruction=JSON_OBJECT)
    wanted = ask.input.output_format.json_schema
    if wanted.HasField("strict") and not wanted.strict:
        return Output(instruction=JSON_SCHEMA + wanted.json_schema)
    return _schema(ask, wanted.json_schema)


def _schema(ask: Ask, json_schema: str) -> Output:
    try:
        return Output({"type": "json_schema", "schema": fitted(json_schema)})
    except (OpenObjectError, orjson.JSONDecodeError):
        ask.adjust("output_format.json_schema", "the provider only holds to schemas of closed objects; asked in words")
        return Output(instruction=JSON_SCHEMA + json_schema)
