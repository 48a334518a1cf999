"""Work that is no chat: what every request for it has, and what is handed over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from trunkline_server.providers.sandbox.refusal import Refusal
from trunkline_server.providers.sandbox.script import Models, Script

TaskT = TypeVar("TaskT")


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """The fields that all requests share."""

    model: str
    script: dict[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """The body of an answer. `count`: of how many things; they take the place of words in a script."""

    body: Mapping[str, object]
    count: int


@dataclass(frozen=True, slots=True)
class Workshop:
    """The models for one kind of work, and what they make of a request."""

    models: Models
    make: Callable[[bytes, Script], Made]


def read(shape: type[TaskT], body: bytes) -> TaskT:
    """The request in a body. Raises Refusal."""
    try:
        return msgspec.json.decode(body, type=shape)
    except (ValueError, RecursionError) as error:  # msgspec's own errors are ValueErrors
        raise Refusal(400, "invalid_request", f"the body is not a request for this: {error}") from error


def input_usage(script: Script, tokens: int) -> Mapping[str, object]:
    """The usage of work that has only input, as counted or as the script tells."""
    if script.usage is None:
        return {}
    given = script.usage.input_tokens
    told = tokens if given is None else given
    return {"usage": {"prompt_tokens": told, "total_tokens": told}}
