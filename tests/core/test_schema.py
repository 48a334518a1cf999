"""Schemas of callers: what they find, what they refuse, and that nothing makes them hang or fetch."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from trunkline_server.core import schema as schemas
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.schema import FAULTS_MAX, Schema

WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 20},
        "days": {"type": "array", "items": {"type": "object", "properties": {"low": {"type": "number"}}}},
    },
    "required": ["city"],
    "additionalProperties": False,
}
TREE = {
    "$defs": {
        "node": {
            "anyOf": [
                {"type": "integer"},
                {"type": "object", "properties": {"a": {"$ref": "#/$defs/node"}}, "required": ["a", "b"]},
                {"type": "object", "properties": {"a": {"$ref": "#/$defs/node"}}, "required": ["a"]},
            ]
        }
    },
    "$ref": "#/$defs/node",
}
DOUBLING = {
    "$defs": {
        **{f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(60)},
        "a60": {"type": "integer"},
    },
    "$ref": "#/$defs/a0",
}
REFUSED: dict[str, Any] = {
    "a list": [],
    "no schema": {"type": "nonsense"},
    "remote reference": {"$ref": "http://127.0.0.1:9/x.json"},
    "remote reference below": {"properties": {"a": {"items": [{"$ref": "https://example.com/x"}]}}},
    "file reference": {"$ref": "file:///etc/passwd"},
    "relative reference": {"$ref": "other.json"},
    "reference to nowhere": {"$ref": "#/$defs/missing"},
    "reference to itself": {"$ref": "#"},
    "reference around a corner": {
        "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
        "$ref": "#/$defs/a",
    },
    "loop beside a step": {
        "$defs": {"b": {"anyOf": [{"$ref": "#"}]}},
        "properties": {"p": {"$ref": "#/$defs/b"}},
        "allOf": [{"$ref": "#/$defs/b"}],
    },
    "loop through a choice": {"anyOf": [{"type": "null"}, {"not": {"$ref": "#"}}]},
    "doubling": DOUBLING,
    "dynamic reference": {"$dynamicRef": "#x"},
    "another base below": {"properties": {"a": {"$id": "https://example.com/", "$ref": "#/x"}}},
    "unknown dialect": {"$schema": "https://example.com/schema"},
    "draft 4": {"$schema": "http://json-schema.org/draft-04/schema#"},
    "pattern that looks around": {"pattern": "(?=a)b"},
    "pattern that refers back": {"pattern": r"(a)\1"},
    "pattern that grows": {"pattern": "((a{1000}){1000}){1000}"},
}


def schema(value: Any) -> Schema:
    return schemas.compile(json.dumps(value), "input.s")


@contextmanager
def within(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED)
def test_refuses(value: Any) -> None:
    with within(2), pytest.raises(TrunklineError) as caught:
        schema(value)
    assert caught.value.reason is Reason.VALIDATION
    assert [violation.field for violation in caught.value.violations] == ["input.s"]


@pytest.mark.parametrize("place", ["$defs", "properties"])
def test_fetches_nothing(place: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        with pytest.raises(TrunklineError):
            schema({place: {"a": {"$ref": f"http://127.0.0.1:{server.getsockname()[1]}/x.json"}}})
        with pytest.raises(BlockingIOError):
            server.accept()


def test_refuses_what_is_not_json_and_what_is_too_long() -> None:
    with pytest.raises(TrunklineError, match="is not JSON"):
        schemas.compile("{", "input.s")
    with pytest.raises(TrunklineError, match="is longer than"):
        schemas.compile(json.dumps({"title": "x" * 300_000}), "input.s")


def test_the_same_wrong_schema_is_refused_at_each_place() -> None:
    for path in ("input.a", "input.b"):
        with pytest.raises(TrunklineError, match=path):
            schemas.compile('{"$ref": "#"}', path)


def test_nothing_is_wrong_with_what_meets_it() -> None:
    assert schema(WEATHER).faults('{"city": "Ulm", "days": [{"low": -2.5}]}') == []


def test_tells_place_and_rule_without_values() -> None:
    secret = "x" * 100
    text = json.dumps({"city": secret, "days": [{"low": 1}, {"low": secret}], secret: secret})
    assert sorted(schema(WEATHER).faults(text)) == [
        "$.city: breaks the rule 'maxLength'",
        "$.days[1].low: breaks the rule 'type'",
        "$: breaks the rule 'additionalProperties'",
    ]
    assert schema(WEATHER).faults("{}") == ["$: breaks the rule 'required' ('city' is missing)"]


def test_keys_that_only_the_answer_has_are_not_told() -> None:
    assert schema({"additionalProperties": {"type": "integer"}}).faults('{"private": "x"}') == [
        "$.*: breaks the rule 'type'"
    ]


def test_tells_a_few_faults_only() -> None:
    assert len(schema({"items": {"type": "string"}}).faults(json.dumps(list(range(1000))))) == FAULTS_MAX


@pytest.mark.parametrize("text", ["", "{", "{} and more", '```json\n{"city": "Ulm"}\n```'])
def test_an_answer_that_is_no_json(text: str) -> None:
    assert schema(WEATHER).faults(text) == ["$: is not JSON"]


def test_a_schema_may_contain_itself() -> None:
    tree = schema(TREE)
    nested = '{"a":' * 50 + "{}" + "}" * 50
    with within(2):
        assert tree.faults(nested.replace("{}", "1")) == []
        assert tree.faults(nested.replace("{}", '"x"')) == ["$: does not meet the schema"]


def test_depth_without_end_is_a_fault() -> None:
    assert schema({"items": {"type": "integer"}}).faults("[" * 800 + "]" * 800) == ["$: is nested too deeply"]


def test_many_faults_take_little_time() -> None:
    words = schema({"items": {"type": "string"}})
    with within(1):
        assert words.faults(json.dumps(list(range(100_000)))) == ["$: does not meet the schema"]


def test_heavy_schemas_judge_short_answers_only() -> None:
    wide = schema({"items": {"anyOf": [{"maxLength": length} for length in range(10_000)]}})
    with within(2):
        assert wide.faults(json.dumps(["x" * 10_000])) == ["$: is too long to be judged by its schema"]
        assert wide.faults(json.dumps(["x" * 50] * 100)) == []


def test_patterns_take_linear_time() -> None:
    with within(1):
        assert schema({"pattern": "^(a+)+$"}).faults(json.dumps("a" * 500_000 + "b")) != []
        assert schema({"pattern": "^(a+)+$"}).faults(json.dumps("a" * 500_000)) == []


def test_keys_that_look_like_keywords_are_keys() -> None:
    named = schema({"properties": {"$id": {"type": "string"}, "$ref": {"type": "string"}, "$dynamicRef": {}}})
    assert named.faults('{"$ref": 1}') == ["$.$ref: breaks the rule 'type'"]


def test_escaped_pointers() -> None:
    escaped = schema({"$defs": {"a/b c~": {"type": "null"}}, "allOf": [{"$ref": "#/$defs/a~1b%20c~0"}]})
    assert escaped.faults("null") == []
    assert escaped.faults("1") != []


def test_formats_are_not_asserted() -> None:
    assert schema({"$schema": "http://json-schema.org/draft-07/schema#", "format": "email"}).faults('"nobody"') == []


def test_is_compiled_once() -> None:
    assert schema(WEATHER) is schema(WEATHER)
