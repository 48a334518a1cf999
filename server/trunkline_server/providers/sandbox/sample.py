"""A value that meets a JSON schema, always the same one for the same schema."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from trunkline_server.providers.sandbox.refusal import Refusal

Schema: TypeAlias = Mapping[str, Any] | bool

DEPTH_MAX: Final = 40
OPTIONAL_DEPTH_MAX: Final = 4
SCHEMAS_MAX: Final = 2_000
LENGTH_MAX: Final = 100_000

_FORMATS: Final = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "somebody@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "01234567-89ab-7def-8123-456789abcdef",
}
_BY_KEYWORD: Final = {
    "properties": "object",
    "required": "object",
    "additionalProperties": "object",
    "items": "array",
    "prefixItems": "array",
    "minItems": "array",
    "minLength": "string",
    "maxLength": "string",
    "pattern": "string",
    "format": "string",
    "minimum": "number",
    "maximum": "number",
    "multipleOf": "number",
}


def sample(schema: Schema) -> object:
    """A value for the schema. Raises Refusal where the schema is too large, too deep or wrong."""
    try:
        return _Sampler(schema).value(schema, 0)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, ArithmeticError) as error:
        raise Refusal(400, "invalid_schema", "the sandbox cannot make a value for this schema") from error


class _Sampler:
    """One walk through a schema; `root` is where references start."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._schemas_left = SCHEMAS_MAX

    def value(self, schema: Schema, depth: int) -> object:
        rules = self._flat(schema, depth)
        for keyword in ("const", "default"):
            if keyword in rules:
                return rules[keyword]
        given = rules.get("enum") or rules.get("examples")
        return given[0] if given else self._by_type(rules, depth)

    def _flat(self, schema: Schema, depth: int) -> Mapping[str, Any]:
        """The rules of a schema together with those it leans on: references, all of `allOf`, the first alternative."""
        self._schemas_left -= 1
        if depth > DEPTH_MAX or self._schemas_left < 0:
            raise ValueError("too large")
        if isinstance(schema, bool):
            return {}
        further = [self._referred(schema["$ref"])] if "$ref" in schema else []
        further += schema.get("allOf", [])
        further += [alternatives[0] for key in ("anyOf", "oneOf") if (alternatives := schema.get(key))]
        flat = dict(schema)
        for each in further:
            flat = _joined(flat, self._flat(each, depth + 1))
        return flat

    def _referred(self, reference: str) -> Schema:
        if not reference.startswith("#"):
            raise ValueError("a reference to another document")
        found: Any = self._root
        for step in reference[1:].split("/")[1:]:
            found = found[step.replace("~1", "/").replace("~0", "~")]
        return found  # type: ignore[no-any-return]  # checked where it is read

    def _by_type(self, rules: Mapping[str, Any], depth: int) -> object:
        kind = _type(rules)
        if kind == "object":
            return self._object(rules, depth)
        return self._array(rules, depth) if kind == "array" else _PLAIN[kind](rules)

    def _object(self, rules: Mapping[str, Any], depth: int) -> dict[str, object]:
        properties, required = rules.get("properties", {}), rules.get("required", [])
        names = [*(properties if depth < OPTIONAL_DEPTH_MAX else ()), *required]
        return {name: self.value(properties.get(name, True), depth + 1) for name in dict.fromkeys(names)}

    def _array(self, rules: Mapping[str, Any], depth: int) -> list[object]:
        first: Sequence[Schema] = rules.get("prefixItems", [])
        rest: Schema = rules.get("items", True)
        wanted = 1 if depth < OPTIONAL_DEPTH_MAX and rest not in (True, False) else 0
        count = max(rules.get("minItems", 0), min(wanted + len(first), rules.get("maxItems", math.inf)))
        return [self.value(first[at] if at < len(first) else rest, depth + 1) for at in range(count)]


def _type(rules: Mapping[str, Any]) -> str:
    """The type that is named, the first that is not null, or the one that the keywords are about."""
    named = rules.get("type") or next((kind for key, kind in _BY_KEYWORD.items() if key in rules), "object")
    return named if isinstance(named, str) else next((kind for kind in named if kind != "null"), "null")


def _joined(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Both sets of rules: properties and required names add up, else the first has the say."""
    joined = {**other, **one}
    if "properties" in one and "properties" in other:
        joined["properties"] = {**other["properties"], **one["properties"]}
    if "required" in one and "required" in other:
        joined["required"] = [*other["required"], *one["required"]]
    return joined


def _string(rules: Mapping[str, Any]) -> str:
    length_min = rules.get("minLength", 0)
    if length_min > LENGTH_MAX:
        raise ValueError("too long")
    return _FORMATS.get(rules.get("format", ""), "text").ljust(length_min, "x")[: rules.get("maxLength")]


def _number(rules: Mapping[str, Any]) -> float:
    low, high = _bounds(rules)
    if "multipleOf" in rules:
        return _multiple(rules, rules["multipleOf"])
    if math.isinf(low):
        return 1 if math.isinf(high) else high - 1
    return low + 1 if math.isinf(high) else (low + high) / 2


def _integer(rules: Mapping[str, Any]) -> float:
    step = rules.get("multipleOf", 1)
    return _multiple(rules, step if isinstance(step, int) else 1)


def _multiple(rules: Mapping[str, Any], step: float) -> float:
    """The multiple of `step` that is nearest to one of the bounds."""
    low, high = _bounds(rules)
    if not math.isinf(low):
        nearest = -(-low // step) * step
        return nearest + step if nearest == rules.get("exclusiveMinimum") else nearest
    if math.isinf(high):
        return step
    nearest = high // step * step
    return nearest - step if nearest == rules.get("exclusiveMaximum") else nearest


def _bounds(rules: Mapping[str, Any]) -> tuple[float, float]:
    low = max(rules.get("minimum", -math.inf), rules.get("exclusiveMinimum", -math.inf))
    return low, min(rules.get("maximum", math.inf), rules.get("exclusiveMaximum", math.inf))


_PLAIN: Final[Mapping[str, Callable[[Mapping[str, Any]], object]]] = {
    "string": _string,
    "number": _number,
    "integer": _integer,
    "boolean": lambda _: True,
    "null": lambda _: None,
}
