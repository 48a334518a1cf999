"""Extract: facts with a type."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from trunkline.v1 import tasks_pb2
from trunkline_server.core import json_text, schema
from trunkline_server.core.errors import Reason, TrunklineError, invalid
from trunkline_server.core.tasks.task import Rules, Said, Task, closed, listed

INTEGER_MAX: Final = 2**53
_DATE: Final = "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"
_RULES: Final[Mapping[int, Rules]] = {
    tasks_pb2.EXTRACT_TYPE_NUMBER: {"type": "number"},
    tasks_pb2.EXTRACT_TYPE_INTEGER: {"type": "integer", "minimum": -INTEGER_MAX, "maximum": INTEGER_MAX},
    tasks_pb2.EXTRACT_TYPE_BOOLEAN: {"type": "boolean"},
    tasks_pb2.EXTRACT_TYPE_DATE: {"type": "string", "pattern": _DATE, "examples": ["2031-12-24"]},
    tasks_pb2.EXTRACT_TYPE_STRING_LIST: {"type": "array", "items": {"type": "string"}},
}
_TEXT: Final[Rules] = {"type": "string"}


@dataclass(frozen=True, slots=True)
class Extract(Task):
    """Of several pieces the first that has a fact counts; lists are put together."""

    name = "extract"

    input: tasks_pb2.ExtractInput

    @property
    def text(self) -> str:
        return self.input.text

    def check(self) -> None:
        if bool(self.input.fields) == bool(self.input.json_schema):
            raise invalid("extract", "needs either fields or a json_schema")
        names = [field.name for field in self.input.fields]
        if len(set(names)) != len(names):
            raise invalid("extract.fields", "have the same name twice")
        if self.input.json_schema:
            self._check_schema("extract.json_schema")

    def words(self) -> Mapping[str, str]:
        about = (
            f"{field.name}: {field.description}" if field.description else field.name for field in self.input.fields
        )
        return {"fields": listed(about), "instructions": self.input.instructions}

    def rules(self) -> Rules:
        if self.input.json_schema:
            own: Rules = orjson.loads(self.input.json_schema)
            return own
        return self._rules(may_lack=False)

    def piece_rules(self) -> Rules:
        """A piece need not have what the text has to have."""
        return {"type": "object"} if self.input.json_schema else self._rules(may_lack=True)

    def _rules(self, *, may_lack: bool) -> Rules:
        return closed({field.name: _rules(field, may_lack=may_lack) for field in self.input.fields})

    def write(self, said: Sequence[Said], result: tasks_pb2.TaskResult) -> None:
        found: dict[str, Any] = {}
        for _, answer in said:
            _merge(found, answer)
        if self.input.json_schema:
            self._require(found)
        else:
            found = {field.name: found[field.name] for field in self.input.fields if field.name in found}
            self._write_fields(found, result.extract)
        result.extract.json = orjson.dumps(found).decode()

    def _write_fields(self, found: Mapping[str, Any], told: tasks_pb2.ExtractResult) -> None:
        for field in self.input.fields:
            if field.name in found:
                _FILL.get(field.type, _fill_text)(told.fields.add(name=field.name), found[field.name])
            elif field.required:
                raise TrunklineError(Reason.OUTPUT_INVALID, f"the text does not tell {field.name!r}")

    def _check_schema(self, path: str) -> None:
        own = json_text.check_object(self.input.json_schema, path)
        if own.get("type") != "object":
            raise invalid(path, "must be the schema of an object")
        schema.compile(self.input.json_schema, path)

    def _require(self, found: Mapping[str, Any]) -> None:
        judge = schema.compile(self.input.json_schema, "extract.json_schema")
        if faults := judge.faults(orjson.dumps(found).decode()):
            raise TrunklineError(Reason.OUTPUT_INVALID, f"the answer does not meet extract.json_schema: {faults[0]}")


def _rules(field: tasks_pb2.ExtractField, *, may_lack: bool) -> Rules:
    rules = _RULES.get(field.type, _TEXT)
    return rules if field.required and not may_lack else {"anyOf": [rules, {"type": "null"}]}


def _merge(found: dict[str, Any], answer: Mapping[str, Any]) -> None:
    for name, value in answer.items():
        if value is None:
            continue
        if isinstance(value, list) and isinstance(found.get(name), list):
            found[name] += [each for each in value if each not in found[name]]
        else:
            found.setdefault(name, value)


def _fill_text(field: tasks_pb2.ExtractedField, value: str) -> None:
    field.text = value


def _fill_number(field: tasks_pb2.ExtractedField, value: float) -> None:
    field.number = value


def _fill_integer(field: tasks_pb2.ExtractedField, value: float) -> None:
    field.integer = int(value)


def _fill_boolean(field: tasks_pb2.ExtractedField, value: bool) -> None:  # noqa: FBT001 - what was found
    field.boolean = value


def _fill_list(field: tasks_pb2.ExtractedField, value: Sequence[str]) -> None:
    field.list.SetInParent()
    field.list.values.extend(value)


_FILL: Final[Mapping[int, Callable[[tasks_pb2.ExtractedField, Any], None]]] = {
    tasks_pb2.EXTRACT_TYPE_NUMBER: _fill_number,
    tasks_pb2.EXTRACT_TYPE_INTEGER: _fill_integer,
    tasks_pb2.EXTRACT_TYPE_BOOLEAN: _fill_boolean,
    tasks_pb2.EXTRACT_TYPE_STRING_LIST: _fill_list,
}
