"""Prompt templates: `{name}` stands for a variable, `\\{` and `\\}` for the braces, and nothing else means anything.

Values go in as they are, in one pass: what a value contains is never read again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from trunkline.v1 import content_pb2, prompts_pb2
from trunkline_server.core import json_text
from trunkline_server.core.errors import TrunklineError, invalid

TEMPLATE_CHARS_MAX: Final = 262_144
RENDERED_CHARS_MAX: Final = 4_000_000
VARIABLES_MAX: Final = 200

_MARK: Final = re.compile(r"\\(?P<brace>[{}])|\{(?P<name>[A-Za-z_][A-Za-z0-9_]{0,63})\}|(?P<stray>[{}])")
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_NUMBER_CHARS_MAX: Final = 400


@dataclass(frozen=True, slots=True)
class Template:
    """A text taken apart: `literals[i]` stands before the variable `names[i]`; one literal more is at the end."""

    literals: Sequence[str]
    names: Sequence[str]

    @classmethod
    def parse(cls, text: str, path: str) -> Self:
        """Raises VALIDATION where a brace is neither a variable nor escaped."""
        literals, names, literal, place = [], [], "", 0
        for mark in _MARK.finditer(text):
            literal += text[place : mark.start()] + (mark["brace"] or "")
            place = mark.end()
            if mark["stray"]:
                raise invalid(path, f"has a brace at character {mark.start()} that is no variable; escape it with \\")
            if mark["name"]:
                literals.append(literal)
                names.append(mark["name"])
                literal = ""
        return cls((*literals, literal + text[place:]), names)

    def render(self, values: Mapping[str, str]) -> str:
        """Every variable has a value."""
        between = (literal + values[name] for literal, name in zip(self.literals, self.names, strict=False))
        return "".join((*between, self.literals[-1]))

    def size(self, values: Mapping[str, str]) -> int:
        """How many characters `render` would make."""
        return sum(map(len, self.literals)) + sum(len(values[name]) for name in self.names)


def variables_of(
    messages: Iterable[content_pb2.Message], declared: Iterable[prompts_pb2.PromptVariable]
) -> list[prompts_pb2.PromptVariable]:
    """All variables: as they are declared, and as plain strings where they are not. Raises VALIDATION."""
    found = {name for template in _templates(messages).values() for name in template.names}
    known: dict[str, prompts_pb2.PromptVariable] = {}
    for index, variable in enumerate(declared):
        path = f"variables[{index}]"
        if variable.name in known:
            raise invalid(f"{path}.name", f"declares {variable.name!r} again")
        if variable.name not in found:
            raise invalid(f"{path}.name", f"declares {variable.name!r}, which no message has")
        _check_declared(variable, path)
        known[variable.name] = variable
    for name in sorted(found - known.keys()):
        known[name] = prompts_pb2.PromptVariable(name=name, type=prompts_pb2.PROMPT_VARIABLE_TYPE_STRING)
    if len(known) > VARIABLES_MAX:
        raise invalid("messages", f"have more than {VARIABLES_MAX} variables")
    return list(known.values())


def render(version: prompts_pb2.PromptVersion, given: Mapping[str, str], path: str) -> list[content_pb2.Message]:
    """The messages, filled in. Raises VALIDATION, which names the variable that is missing, unknown or mistyped."""
    values = _values(version.variables, given, path)
    templates = _templates(version.messages)
    if sum(template.size(values) for template in templates.values()) > RENDERED_CHARS_MAX:
        raise invalid(path, f"make a prompt of more than {RENDERED_CHARS_MAX} characters")
    messages = []
    for index, kept in enumerate(version.messages):
        message = content_pb2.Message()
        message.CopyFrom(kept)
        for place, part in enumerate(message.parts):
            if (template := templates.get((index, place))) is not None:
                part.text.text = template.render(values)
        messages.append(message)
    return messages


def _templates(messages: Iterable[content_pb2.Message]) -> dict[tuple[int, int], Template]:
    """The text parts, by message and part."""
    templates, chars = {}, 0
    for index, message in enumerate(messages):
        for place, part in enumerate(message.parts):
            if part.WhichOneof("kind") == "text":
                path = f"messages[{index}].parts[{place}].text.text"
                chars += len(part.text.text)
                if chars > TEMPLATE_CHARS_MAX:
                    raise invalid(path, f"makes a template of more than {TEMPLATE_CHARS_MAX} characters")
                templates[index, place] = Template.parse(part.text.text, path)
    return templates


def _values(variables: Iterable[prompts_pb2.PromptVariable], given: Mapping[str, str], path: str) -> Mapping[str, str]:
    known = {variable.name: variable for variable in variables}
    if unknown := sorted(given.keys() - known.keys()):
        raise invalid(f"{path}[{unknown[0]!r}]", "is no variable of this prompt")
    values = {}
    for name, variable in known.items():
        if name in given:
            values[name] = _checked(variable, given[name], f"{path}[{name!r}]")
        elif variable.HasField("default_value"):
            values[name] = variable.default_value
        else:
            raise invalid(f"{path}[{name!r}]", "is missing")
    return values


def _check_declared(variable: prompts_pb2.PromptVariable, path: str) -> None:
    is_enum = variable.type == prompts_pb2.PROMPT_VARIABLE_TYPE_ENUM
    if is_enum != bool(variable.choices):
        raise invalid(f"{path}.choices", "belong to a variable of type ENUM, and only there")
    if variable.HasField("default_value"):
        _checked(variable, variable.default_value, f"{path}.default_value")


def _checked(variable: prompts_pb2.PromptVariable, value: str, path: str) -> str:
    wrong = _wrong(variable, value)
    if wrong:
        raise invalid(path, wrong)
    return value


def _wrong(variable: prompts_pb2.PromptVariable, value: str) -> str:
    """Why a value is not of the variable's type; empty where it is."""
    match variable.type:
        case prompts_pb2.PROMPT_VARIABLE_TYPE_NUMBER:
            fits = len(value) <= _NUMBER_CHARS_MAX and _NUMBER.fullmatch(value)
            return "" if fits else "must be a number as JSON spells it"
        case prompts_pb2.PROMPT_VARIABLE_TYPE_BOOLEAN:
            return "" if value in ("true", "false") else "must be true or false"
        case prompts_pb2.PROMPT_VARIABLE_TYPE_ENUM:
            return "" if value in variable.choices else "must be one of the variable's choices"
        case prompts_pb2.PROMPT_VARIABLE_TYPE_JSON:
            return "" if _is_json(value) else "must be JSON"
        case _:
            return ""


def _is_json(text: str) -> bool:
    try:
        json_text.check(text, "")
    except TrunklineError:
        return False
    return True
