"""A JSON schema as the provider's structured outputs take it: closed objects, and no limits on numbers and lengths."""

from __future__ import annotations

from typing import Any, Final

import orjson

# The provider refuses these; the gateway checks the answer against the caller's own schema, so none of them is lost.
_LIMITS: Final = (
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength"),
    *("maxItems", "uniqueItems", "contains", "minContains", "maxContains", "minProperties", "maxProperties"),
)
_NAMED: Final = ("properties", "$defs", "definitions")
_LISTED: Final = ("anyOf", "allOf", "oneOf", "prefixItems")


class OpenObjectError(Exception):
    """The schema allows fields that it does not name; the provider cannot be held to that."""


def closed(schema: object) -> Any:
    """The schema with closed objects; what is already as it should be stays equal."""
    if not isinstance(schema, dict):
        return schema
    kept = {key: _value(key, value) for key, value in schema.items() if key not in _LIMITS and not _is_long(key, value)}
    return _close(kept) if _is_object(kept) else kept


def fitted(json_schema: str) -> orjson.Fragment:
    """The schema's own text where the provider takes it as it is, else the text of the closed one."""
    schema = orjson.loads(json_schema)
    fitting = closed(schema)
    return orjson.Fragment(json_schema if fitting == schema else orjson.dumps(fitting))


def _value(key: str, value: object) -> object:
    if key in _NAMED and isinstance(value, dict):
        return {name: closed(each) for name, each in value.items()}
    if key in _LISTED and isinstance(value, list):
        return [closed(each) for each in value]
    return closed(value) if key == "items" else value


def _is_long(key: str, value: object) -> bool:
    return key == "minItems" and value not in (0, 1)


def _is_object(schema: dict[str, object]) -> bool:
    return schema.get("type") == "object" or "properties" in schema


def _close(schema: dict[str, object]) -> dict[str, object]:
    if schema.get("additionalProperties", False) is not False or not schema.get("properties"):
        raise OpenObjectError
    return {**schema, "additionalProperties": False}
