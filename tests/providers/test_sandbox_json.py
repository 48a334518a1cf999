"""The sandbox answers in the shape that is asked for, or not, as it is told."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.providers.sandbox import (
    BOTH_WAYS,
    CITY,
    Sandbox,
    ask,
    message,
    said,
    shaped,
)
from trunkline.v1 import content_pb2
from trunkline_server.core.failure import FailureKind
from trunkline_server.providers.sandbox.refusal import Refusal
from trunkline_server.providers.sandbox.sample import sample


@BOTH_WAYS
async def test_json_meets_the_schema(sandbox: Sandbox, stream: bool) -> None:
    answer = await sandbox.say(ask("json", stream=stream, more=shaped(CITY)))
    assert json.loads(said(answer)) == {"city": "text", "days": 2}


async def test_json_wrong_breaks_it(sandbox: Sandbox) -> None:
    assert said(await sandbox.say(ask("json-wrong", more=shaped(CITY)))) == "[]"
    assert said(await sandbox.say(ask("json-wrong", more=shaped({"type": "array"})))) == "{}"


async def test_json_wrong_once_is_right_when_shown_its_answer(sandbox: Sandbox) -> None:
    asked = ask("json-wrong-once", more=shaped(CITY))
    assert said(await sandbox.say(asked)) == "[]"
    asked.input.messages.append(message(content_pb2.ROLE_ASSISTANT, "[]"))
    asked.input.messages.append(message(content_pb2.ROLE_USER, "that is no object"))
    assert jsonschema_rs.is_valid(CITY, json.loads(said(await sandbox.say(asked))))


SCHEMAS: list[Any] = [
    True,
    {},
    {"const": 7},
    {"enum": ["b", "a"]},
    {"type": ["null", "string"]},
    {"type": "null"},
    {"type": "boolean"},
    {"type": "number"},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.1},
    {"type": "number", "maximum": -3},
    {"type": "number", "minimum": 5, "maximum": 5},
    {"type": "number", "multipleOf": 0.5, "exclusiveMinimum": 1},
    {"type": "integer", "exclusiveMinimum": 3, "multipleOf": 4},
    {"type": "integer", "maximum": -7},
    {"type": "integer", "exclusiveMaximum": 10, "multipleOf": 5},
    {"type": "integer", "minimum": 9007199254740993},
    {"type": "string", "minLength": 12},
    {"type": "string", "maxLength": 2},
    {"type": "string", "format": "date-time"},
    {"type": "string", "format": "email"},
    {"type": "string", "format": "uuid"},
    {"type": "array", "items": {"type": "integer"}, "minItems": 3},
    {"type": "array", "prefixItems": [{"type": "string"}, {"type": "null"}], "items": False},
    {"type": "array", "maxItems": 0, "items": {"type": "string"}},
    {"type": "object", "required": ["x"]},
    {"properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}},
    {"allOf": [CITY, {"properties": {"more": {"type": "boolean"}}, "required": ["more"]}]},
    {"oneOf": [{"type": "integer"}, {"type": "string"}]},
    {
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                },
                "required": ["name", "children"],
                "additionalProperties": False,
            }
        },
        "$ref": "#/$defs/node",
    },
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: json.dumps(schema)[:60])
def test_samples_meet_their_schema(schema: Any) -> None:
    validator = jsonschema_rs.validator_for(schema, validate_formats=True)
    validator.validate(sample(schema))
    assert sample(schema) == sample(schema)


BOUNDS = st.integers(-(10**6), 10**6)


@given(
    low=BOUNDS,
    width=st.integers(1, 1000),
    step=st.integers(1, 50),
    open_=st.sampled_from(["minimum", "exclusiveMinimum"]),
)
def test_integers_lie_within_their_bounds(low: int, width: int, step: int, open_: str) -> None:
    schema = {"type": "integer", open_: low, "maximum": low + width + step, "multipleOf": step}
    jsonschema_rs.validate(schema, sample(schema))


ENDLESS_REFERENCE = {"$defs": {"a": {"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#/$defs/a"}}}}}
TWINS = {"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}}}


@pytest.mark.parametrize(
    "schema",
    [
        {**ENDLESS_REFERENCE, "$ref": "#/$defs/a"},
        {**TWINS, "$ref": "#/$defs/a"},
        {"$ref": "#/$defs/missing"},
        {"$ref": "https://example.com/schema"},
        {"type": "array", "minItems": 10**12, "items": {"type": "string"}},
        {"type": "string", "minLength": 10**12},
        {"type": "integer", "minimum": "much"},
        {"type": "colour"},
        {"properties": ["a"]},
        {"anyOf": 3},
    ],
    ids=lambda schema: json.dumps(schema)[:60],
)
def test_impossible_schemas_are_refused(schema: Any) -> None:
    with pytest.raises(Refusal):
        sample(schema)


async def test_an_impossible_schema_is_an_invalid_request(sandbox: Sandbox) -> None:
    failure = await sandbox.fail(ask("json", more=shaped({"type": "colour"})))
    assert (failure.kind, failure.http_status) == (FailureKind.INVALID, 400)
