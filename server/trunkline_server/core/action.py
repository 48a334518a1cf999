"""Actions: whether one is whole, and whether what people gave is what it takes.

What an action takes is a JSON Schema for every type of action, so that there is one judge for all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias, assert_never

import orjson

from trunkline.v1 import actions_pb2
from trunkline_server.core import json_text, schema
from trunkline_server.core.errors import FieldViolation, TrunklineError, invalid

Rules: TypeAlias = dict[str, object]
Choices: TypeAlias = Iterable[actions_pb2.ActionChoice]
Check: TypeAlias = Callable[[], object]

ACTIONS_MAX: Final = 20
"""In one answer."""
TEXT_CHARS_MAX: Final = 4096
NOTHING: Final[Rules] = {"type": "object", "additionalProperties": False}

_LINK: Final = re.compile(r"(https?://[^\s/]|mailto:[^\s]|tel:[+0-9])[^\s\x00-\x1f\x7f]*", re.IGNORECASE)
_PICTURE: Final = re.compile(r"https://[^\s/][^\s\x00-\x1f\x7f]*", re.IGNORECASE)
_CHOOSING: Final = (actions_pb2.FORM_FIELD_TYPE_CHOICE, actions_pb2.FORM_FIELD_TYPE_MULTI_CHOICE)
_COUNTING: Final = (actions_pb2.FORM_FIELD_TYPE_NUMBER, actions_pb2.FORM_FIELD_TYPE_INTEGER)

_LOOKS: Final[Mapping[int, str]] = {
    actions_pb2.FORM_FIELD_TYPE_DATE: "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$",
    actions_pb2.FORM_FIELD_TYPE_EMAIL: "^[^@\\s]+@[^@\\s]+$",
}

TYPES: Final[Mapping[str, actions_pb2.ActionType.ValueType]] = {
    "button": actions_pb2.ACTION_TYPE_BUTTON,
    "quick_reply": actions_pb2.ACTION_TYPE_QUICK_REPLY,
    "form": actions_pb2.ACTION_TYPE_FORM,
    "link": actions_pb2.ACTION_TYPE_LINK,
    "file_upload": actions_pb2.ACTION_TYPE_FILE_UPLOAD,
    "card": actions_pb2.ACTION_TYPE_CARD,
    "confirm": actions_pb2.ACTION_TYPE_CONFIRM,
    "menu": actions_pb2.ACTION_TYPE_MENU,
    "custom": actions_pb2.ACTION_TYPE_CUSTOM,
}
"""By the field of `Action` that has it."""


def type_of(action: actions_pb2.Action) -> actions_pb2.ActionType.ValueType:
    """The type by the kind that is set."""
    return TYPES.get(action.WhichOneof("kind") or "", actions_pb2.ACTION_TYPE_UNSPECIFIED)


def needs_confirmation(action: actions_pb2.Action) -> bool:
    """Whether people have to confirm it, whoever executes it."""
    return action.dangerous or action.HasField("confirm")


def check_all(actions: Sequence[actions_pb2.Action], path: str) -> None:
    """Those of one answer. Raises VALIDATION for the first fault."""
    known: set[str] = set()
    for index, action in enumerate(actions):
        for fault in faults(action, f"{path}[{index}]"):
            raise invalid(fault.field, fault.description)
        if action.action_id in known:
            raise invalid(f"{path}[{index}].action_id", "is the id of an earlier action")
        known.add(action.action_id)


def faults(action: actions_pb2.Action, path: str) -> list[FieldViolation]:
    """Everything that is wrong with an action, beside what its field rules say."""
    found = list(_own_faults(action, path))
    if not found:
        found.extend(_caught(lambda: schema.compile(_spelled(action), _place_of_rules(action, path))))
    return found


def argument_faults(action: actions_pb2.Action, arguments_json: str, path: str) -> list[FieldViolation]:
    """Everything that is wrong with what people gave to an action that is whole."""
    text = arguments_json or "{}"
    if found := list(_caught(lambda: json_text.check_object(text, path))):
        return found
    judge = schema.compile(_spelled(action), path)
    return [FieldViolation(path, fault) for fault in judge.faults(text)]


def rules_of(action: actions_pb2.Action) -> Rules:
    """What it takes, as a JSON Schema; of a custom one that says so itself, nothing."""
    kind = action.WhichOneof("kind")
    match kind:
        case "form":
            return _form_rules(action.form)
        case "file_upload":
            upload = action.file_upload
            return _one(
                "file_ids", _some({"type": "string", "minLength": 1, "maxLength": 64}, 1, upload.files_max or 1)
            )
        case "card":
            return _one("value", _one_of(action.card.choices)) if action.card.choices else NOTHING
        case "menu":
            menu = action.menu
            return _one("values", _some(_one_of(menu.choices), menu.chosen_min or 1, menu.chosen_max or 1))
        case "button" | "quick_reply" | "link" | "confirm" | "custom" | None:
            return NOTHING
        case _:
            assert_never(kind)


def _spelled(action: actions_pb2.Action) -> str:
    return action.custom.arguments_json_schema or orjson.dumps(rules_of(action)).decode()


def _place_of_rules(action: actions_pb2.Action, path: str) -> str:
    """Where the rules come from that may be none: a caller's own schema, or patterns of a form."""
    return f"{path}.custom.arguments_json_schema" if action.HasField("custom") else f"{path}.form.fields"


def _form_rules(form: actions_pb2.FormAction) -> Rules:
    return {
        "type": "object",
        "properties": {field.name: _field_rules(field) for field in form.fields},
        "required": [field.name for field in form.fields if field.required],
        "additionalProperties": False,
    }


def _field_rules(field: actions_pb2.FormField) -> Rules:
    match field.type:
        case actions_pb2.FORM_FIELD_TYPE_NUMBER | actions_pb2.FORM_FIELD_TYPE_INTEGER:
            limits = {name: getattr(field, name) for name in ("minimum", "maximum") if field.HasField(name)}
            is_whole = field.type == actions_pb2.FORM_FIELD_TYPE_INTEGER
            return {"type": "integer" if is_whole else "number", **limits}
        case actions_pb2.FORM_FIELD_TYPE_BOOLEAN:
            return {"type": "boolean"}
        case actions_pb2.FORM_FIELD_TYPE_CHOICE:
            return _one_of(field.choices)
        case actions_pb2.FORM_FIELD_TYPE_MULTI_CHOICE:
            return _some(_one_of(field.choices), 1 if field.required else 0, len(field.choices))
        case _:
            return _text(field)


def _text(field: actions_pb2.FormField) -> Rules:
    looks = [{"pattern": pattern} for pattern in (_LOOKS.get(field.type), field.pattern) if pattern]
    length: Rules = {"minLength": 1 if field.required else 0, "maxLength": field.chars_max or TEXT_CHARS_MAX}
    return {"type": "string", **length, **({"allOf": looks} if looks else {})}


def _one(name: str, rules: Rules) -> Rules:
    """An object with this one member."""
    return {"type": "object", "properties": {name: rules}, "required": [name], "additionalProperties": False}


def _some(each: Rules, least: int, most: int) -> Rules:
    return {"type": "array", "items": each, "minItems": least, "maxItems": most, "uniqueItems": True}


def _one_of(choices: Choices) -> Rules:
    return {"enum": [choice.value for choice in choices]}


def _own_faults(action: actions_pb2.Action, path: str) -> Iterator[FieldViolation]:
    if action.payload_json:
        yield from _caught(lambda: json_text.check_object(action.payload_json, f"{path}.payload_json"))
    match action.WhichOneof("kind"):
        case "form":
            yield from _form_faults(action.form.fields, f"{path}.form.fields")
        case "link":
            if not _LINK.fullmatch(action.link.uri):
                yield FieldViolation(f"{path}.link.uri", "is no https, http, mailto or tel address")
        case "card":
            if action.card.image_uri and not _PICTURE.fullmatch(action.card.image_uri):
                yield FieldViolation(f"{path}.card.image_uri", "is no https address")
            yield from _choice_faults(action.card.choices, f"{path}.card.choices")
        case "menu":
            yield from _menu_faults(action.menu, f"{path}.menu")
        case _:  # nothing lies between the fields of the others
            pass


def _form_faults(fields: Iterable[actions_pb2.FormField], path: str) -> Iterator[FieldViolation]:
    known: set[str] = set()
    for index, field in enumerate(fields):
        place = f"{path}[{index}]"
        if field.name in known:
            yield FieldViolation(f"{place}.name", "is the name of an earlier field")
        known.add(field.name)
        if (field.type in _CHOOSING) != bool(field.choices):
            yield FieldViolation(f"{place}.choices", "belong to CHOICE and MULTI_CHOICE, and to no other type")
        yield from _choice_faults(field.choices, f"{place}.choices")
        yield from _limit_faults(field, place)


def _limit_faults(field: actions_pb2.FormField, path: str) -> Iterator[FieldViolation]:
    limited = field.HasField("minimum") or field.HasField("maximum")
    if limited and field.type not in _COUNTING:
        yield FieldViolation(path, "has limits of a number, but is none")
    if field.HasField("minimum") and field.HasField("maximum") and field.minimum > field.maximum:
        yield FieldViolation(f"{path}.maximum", "is less than the minimum")


def _choice_faults(choices: Choices, path: str) -> Iterator[FieldViolation]:
    known: set[str] = set()
    for index, choice in enumerate(choices):
        if choice.value in known:
            yield FieldViolation(f"{path}[{index}].value", "is the value of an earlier choice")
        known.add(choice.value)


def _menu_faults(menu: actions_pb2.MenuAction, path: str) -> Iterator[FieldViolation]:
    yield from _choice_faults(menu.choices, f"{path}.choices")
    if (menu.chosen_min or 1) > (menu.chosen_max or 1):
        yield FieldViolation(f"{path}.chosen_max", "is less than chosen_min")
    if (menu.chosen_min or 1) > len(menu.choices):
        yield FieldViolation(f"{path}.chosen_min", "is more than there are choices")


def _caught(check: Check) -> Iterator[FieldViolation]:
    """What a check refuses."""
    try:
        check()
    except TrunklineError as error:
        yield from error.violations
