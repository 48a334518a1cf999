"""JSON Schemas of callers: compiled once, judged in bounded time, and never a reason to fetch anything.

References lead only to places in the same schema, and one that multiplies through its references is refused. Judging is
fast; explaining is not: it collects every fault of every branch, which takes exponential time where a schema contains
itself. So faults are explained only where that is little work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from itertools import islice
from typing import Final, TypeAlias
from urllib.parse import unquote

import jsonschema_rs
import orjson

from trunkline_server.core.errors import TrunklineError, invalid
from trunkline_server.core.json_text import check_object

Node: TypeAlias = dict[str, object]

TEXT_CHARS_MAX: Final = 256 * 1024
WEIGHT_MAX: Final = 20_000
"""Most subschemas that judging one value may touch, with every reference written out."""
JUDGED_MAX: Final = 100_000_000
EXPLAINED_MAX: Final = 100_000
"""Most work, as the weight of the schema times the characters of the text: under a second, and under 0.2 s."""
FAULTS_MAX: Final = 5
VALUE_CHARS_MAX: Final = 40

_STEPS_MAX: Final = 200
_DRAFTS: Final = ("draft-07/schema", "draft/2019-09/schema", "draft/2020-12/schema")
_PATTERNS: Final = jsonschema_rs.RegexOptions(size_limit=1024 * 1024)
_LISTS: Final = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
_SINGLES: Final = (
    "not",
    "if",
    "then",
    "else",
    "items",
    "additionalItems",
    "unevaluatedItems",
    "contains",
    "additionalProperties",
    "unevaluatedProperties",
    "propertyNames",
)
_MAPS: Final = ("properties", "patternProperties", "dependentSchemas", "dependencies")
_SAME_PLACE: Final = frozenset(
    ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies", "$ref")
)


class Schema:
    """A schema ready to judge with."""

    __slots__ = ("_recursive", "_validator", "_weight")

    def __init__(self, validator: jsonschema_rs.Validator, weight: int, *, recursive: bool) -> None:
        self._validator = validator
        self._weight = weight
        self._recursive = recursive

    def faults(self, instance_text: str) -> list[str]:
        """What is wrong with a JSON text, as path and rule, at most five; nothing when it meets the schema."""
        try:
            instance = orjson.loads(instance_text)
        except ValueError:
            return ["$: is not JSON"]
        work = self._weight * len(instance_text)
        if work > JUDGED_MAX:
            return ["$: is too long to be judged by its schema"]
        try:
            return self._judge(instance, explain=work <= EXPLAINED_MAX and not self._recursive)
        except ValueError:  # the validator's own limit, about 255 levels
            return ["$: is nested too deeply"]

    def _judge(self, instance: object, *, explain: bool) -> list[str]:
        if self._validator.is_valid(instance):
            return []
        if not explain:
            return ["$: does not meet the schema"]
        return [_told(error) for error in islice(self._validator.iter_errors(instance), FAULTS_MAX)]


def compile(text: str, path: str) -> Schema:
    """The schema in `text`. Raises VALIDATION at `path`."""
    if len(text) > TEXT_CHARS_MAX:
        raise invalid(path, f"is longer than {TEXT_CHARS_MAX} characters")
    try:
        return _compiled(text)
    except _RefusedError as refused:
        raise invalid(path, str(refused)) from None


class _RefusedError(Exception):
    """A schema that is not taken, in words; not yet where in the request it stands."""


@lru_cache(maxsize=256)
def _compiled(text: str) -> Schema:
    try:
        root = check_object(text, "schema")
    except TrunklineError as error:
        raise _RefusedError(error.violations[0].description) from None
    survey = _Survey(root)
    try:
        validator = jsonschema_rs.validator_for(root, validate_formats=False, pattern_options=_PATTERNS, offline=True)
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise _RefusedError(_why(error)) from None
    return Schema(validator, survey.weight, recursive=survey.recursive)


def _why(error: Exception) -> str:
    place = _spelled(error.instance_path) if isinstance(error, jsonschema_rs.ValidationError) else "$"
    return f"is no JSON Schema that can be used, see {place} (patterns may not look around or refer back)"


class _Survey:
    """Walks a schema along its references, and refuses it where judging by it might not end."""

    def __init__(self, root: Node) -> None:
        self.recursive = False
        self._root = root
        self._weights: dict[int, int] = {}
        self._open: set[int] = set()
        self._same_place: dict[int, list[int]] = {}
        """Which subschemas judge the same value as a given one."""
        if not str(root.get("$schema") or _DRAFTS[-1]).rstrip("#").endswith(_DRAFTS):
            raise _RefusedError("its '$schema' is none of draft-07, 2019-09 and 2020-12")
        self.weight = self._weigh(root)
        self._check_progress()

    def _weigh(self, node: Node) -> int:
        """How many subschemas a value may meet from here on."""
        key = id(node)
        if key in self._open:
            self.recursive = True
            return 1
        if key not in self._weights:
            self._check(node)
            self._open.add(key)
            self._weights[key] = self._sum(node)
            self._open.discard(key)
        return self._weights[key]

    def _sum(self, node: Node) -> int:
        weight = 1
        here = self._same_place[id(node)] = []
        for word, child in self._children(node):
            if word in _SAME_PLACE:
                here.append(id(child))
            weight += self._weigh(child)
            if weight > WEIGHT_MAX:
                raise _RefusedError(f"has more than {WEIGHT_MAX} parts once its references are written out")
        return weight

    def _check_progress(self) -> None:
        try:
            TopologicalSorter(self._same_place).prepare()
        except CycleError:
            raise _RefusedError("refers to itself without a step into the value") from None

    def _check(self, node: Node) -> None:
        if len(self._open) > _STEPS_MAX:
            raise _RefusedError(f"has a chain of more than {_STEPS_MAX} references")
        if "$id" in node and node is not self._root:
            raise _RefusedError("has an '$id' below its root")
        if "$dynamicRef" in node or "$recursiveRef" in node:
            raise _RefusedError("has a dynamic reference; use '$ref'")

    def _children(self, node: Node) -> Iterator[tuple[str, Node]]:
        for word, value in node.items():
            if word == "$ref":
                yield from _nodes(word, [self._target(value)])
            elif word in _MAPS and isinstance(value, dict):
                yield from _nodes(word, list(value.values()))
            elif word in _LISTS and isinstance(value, list):
                yield from _nodes(word, value)
            elif word in _SINGLES:
                yield from _nodes(word, [value])

    def _target(self, reference: object) -> object:
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise _RefusedError("has a '$ref' that does not begin with '#/': other documents are not fetched")
        place: object = self._root
        for step in unquote(reference[1:]).split("/")[1:]:
            place = _step(place, step.replace("~1", "/").replace("~0", "~"))
        return place


def _nodes(word: str, values: list[object]) -> Iterator[tuple[str, Node]]:
    return ((word, value) for value in values if isinstance(value, dict))


def _step(place: object, step: str) -> object:
    if isinstance(place, dict) and step in place:
        return place[step]
    if isinstance(place, list) and step.isdecimal() and len(step) < 9 and int(step) < len(place):
        return place[int(step)]
    raise _RefusedError("has a '$ref' to a place that does not exist")


def _told(error: jsonschema_rs.ValidationError) -> str:
    """Where, and which rule, in words of the schema alone: keys that only the instance has are `*`."""
    words = {*error.schema_path, *error.evaluation_path}
    path = [step if isinstance(step, int) or step in words else "*" for step in error.instance_path]
    missing = error.kind.property if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Required) else ""
    return f"{_spelled(path)}: breaks the rule {error.kind.name!r}" + (
        f" ({_cut(str(missing))!r} is missing)" if missing else ""
    )


def _spelled(path: Sequence[str | int]) -> str:
    shown = "".join(f"[{step}]" if isinstance(step, int) else f".{_cut(step)}" for step in path[:16])
    return f"${shown}" + ("..." if len(path) > 16 else "")


def _cut(text: str) -> str:
    return text if len(text) <= VALUE_CHARS_MAX else f"{text[:VALUE_CHARS_MAX]}..."
