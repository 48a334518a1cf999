"""Actions that a model proposes: the tool that we offer for it, and what its calls in an answer come to.

A call of the tool stays in the answer as it is; one that is a whole action stands among the answer's actions as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

import orjson
from google.protobuf.json_format import ParseDict, ParseError

from trunkline.v1 import actions_pb2, chat_pb2, content_pb2
from trunkline_server.core import action as rules
from trunkline_server.core import schema

Told: TypeAlias = Callable[[], Sequence[chat_pb2.Candidate]]
"""The answers, spelled only where somebody looks into them."""

TOOL_NAME: Final = "trunkline_propose_action"
_DESCRIPTION: Final = (
    "Offers the user one thing to do next, such as a button or a form. Give `name`, `label` and exactly one of "
    "`button`, `quick_reply`, `link`, `confirm`, `menu`, `card`, `form`. Nothing happens until the user chooses it."
)
_LABEL: Final = {"type": "string", "minLength": 1, "maxLength": 255}
_TEXT: Final = {"type": "string", "maxLength": 4096}
_CHOICES: Final = {
    "type": "array",
    "minItems": 1,
    "maxItems": 20,
    "items": {"type": "object", "properties": {"value": _LABEL, "label": _LABEL}, "required": ["value"]},
}
_FIELD: Final = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,63}$"},
        "label": _LABEL,
        "type": {"enum": [name for name, value in actions_pb2.FormFieldType.items() if value]},
        "required": {"type": "boolean"},
        "choices": _CHOICES,
    },
    "required": ["name", "label", "type"],
    "additionalProperties": False,
}
_KINDS: Final[dict[str, dict[str, object]]] = {
    "button": {},
    "quick_reply": {"text": _TEXT},
    "link": {"uri": _TEXT},
    "confirm": {"question": {**_TEXT, "minLength": 1}},
    "menu": {"choices": _CHOICES},
    "card": {"title": _LABEL, "text": _TEXT, "choices": _CHOICES},
    "form": {"fields": {"type": "array", "minItems": 1, "maxItems": 20, "items": _FIELD}},
}
_NEEDED: Final = {"link": ["uri"], "confirm": ["question"], "menu": ["choices"], "form": ["fields"]}


def _kind(name: str) -> dict[str, object]:
    needed = _NEEDED.get(name, [])
    return {"type": "object", "properties": _KINDS[name], "required": needed, "additionalProperties": False}


_SCHEMA: Final = orjson.dumps(
    {
        "type": "object",
        "properties": {
            "name": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"},
            "label": _LABEL,
            "description": {"type": "string", "maxLength": 1024},
            "dangerous": {"type": "boolean"},
            **{name: _kind(name) for name in _KINDS},
        },
        "required": ["name", "label"],
        "minProperties": 3,
        "additionalProperties": False,
    }
).decode()

TOOL: Final = content_pb2.FunctionTool(name=TOOL_NAME, description=_DESCRIPTION, parameters_json_schema=_SCHEMA)


def offered(input: chat_pb2.ChatInput, told: Told) -> list[actions_pb2.Action]:
    """What people can do with an answer: what the call brought, then what the model proposed."""
    actions = list(input.actions)
    if any(tool.function.name == TOOL_NAME for tool in input.tools):
        known = {action.action_id for action in actions}
        for number, proposed in enumerate(_proposals(told()), 1):
            proposed.action_id = _free_id(number, known)
            actions.append(proposed)
    return actions[: rules.ACTIONS_MAX]


def proposed(arguments_json: str) -> actions_pb2.Action | None:
    """The action that a call of our tool is; None where it is none."""
    if schema.compile(_SCHEMA, "tool").faults(arguments_json):
        return None
    try:
        action = ParseDict(orjson.loads(arguments_json), actions_pb2.Action())
    except ParseError:
        return None
    return action if action.WhichOneof("kind") and not rules.faults(action, "action") else None


def _proposals(candidates: Sequence[chat_pb2.Candidate]) -> Iterator[actions_pb2.Action]:
    """Of the first of the answers, which is the one that people see."""
    for candidate in candidates[:1]:
        for part in candidate.message.parts:
            if part.tool_call.name == TOOL_NAME and (action := proposed(part.tool_call.arguments_json)):
                yield action


def _free_id(number: int, known: set[str]) -> str:
    """`proposed-1`, unless the caller has one of that name."""
    action_id = f"proposed-{number}"
    while action_id in known:
        action_id += "x"
    known.add(action_id)
    return action_id
