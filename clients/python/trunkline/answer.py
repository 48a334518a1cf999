"""What a model said, and what it cost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, Generic, TypeVar

from trunkline.amounts import to_decimal
from trunkline.v1 import chat_pb2, content_pb2, usage_pb2

T = TypeVar("T")


@dataclass(frozen=True)
class ToolCall:
    """The model asks for a tool."""

    call_id: str
    name: str
    arguments_json: str

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """Raises `ValueError` where they are no JSON, `TypeError` where they are no object."""
        read = json.loads(self.arguments_json or "{}")
        if not isinstance(read, dict):
            raise TypeError(f"the arguments of {self.name!r} are not an object")
        return read


@dataclass(frozen=True)
class Answer:
    """The last completion, those of the rounds of tools before it, and all messages that were exchanged."""

    completion: chat_pb2.Completion
    rounds: Sequence[chat_pb2.Completion] = ()
    """Every completion of this answer, the last one included."""
    messages: Sequence[content_pb2.Message] = ()
    """What was asked and said, this answer included: the history for the next question."""

    def __str__(self) -> str:
        return self.text

    @property
    def text(self) -> str:
        """What the first candidate says; its refusal, where it refuses."""
        return self.texts[0] if self.texts else ""

    @cached_property
    def texts(self) -> Sequence[str]:
        """Each candidate's words."""
        return tuple(_words(each.message) for each in self.completion.candidates)

    @property
    def reasoning(self) -> str:
        """What the model thought, where the provider shows it."""
        return "".join(part.reasoning.text or "\n".join(part.reasoning.summaries) for part in self.parts)

    @property
    def parts(self) -> Sequence[content_pb2.Part]:
        return self.completion.candidates[0].message.parts if self.completion.candidates else ()

    @cached_property
    def tool_calls(self) -> Sequence[ToolCall]:
        """The calls that wait for results."""
        return tool_calls(self.completion)

    @property
    def completion_id(self) -> str:
        return self.completion.completion_id

    @property
    def model(self) -> str:
        """Who answered: `provider/model`."""
        return f"{self.completion.provider}/{self.completion.model}"

    @property
    def usage(self) -> usage_pb2.Usage:
        """Of the last round."""
        return self.completion.usage

    @property
    def charge(self) -> Decimal:
        """Credits that were charged, all rounds together."""
        return sum((to_decimal(each.charge) for each in self.rounds or (self.completion,)), Decimal(0))

    @property
    def finish_reason(self) -> str:
        """Why it ended: `STOP`, `MAX_OUTPUT_TOKENS`, `CONTENT_FILTER` ..."""
        reasons = [each.finish_reason for each in self.completion.candidates]
        return chat_pb2.FinishReason.Name(reasons[0]).removeprefix("FINISH_REASON_") if reasons else ""

    @property
    def cached(self) -> bool:
        """It was kept from before."""
        return self.completion.cache_status > chat_pb2.CACHE_STATUS_MISS


@dataclass(frozen=True)
class Shaped(Generic[T]):
    """An answer in the shape that was asked for."""

    value: T
    answer: Answer


def tool_calls(completion: chat_pb2.Completion) -> Sequence[ToolCall]:
    """Those of the first candidate that the caller is to run."""
    said = completion.candidates[0].message.parts if completion.candidates else ()
    calls = (part.tool_call for part in said if part.HasField("tool_call"))
    return tuple(ToolCall(call.call_id, call.name, call.arguments_json) for call in calls if _is_callers(call))


def _is_callers(call: content_pb2.ToolCallPart) -> bool:
    return call.executor in (content_pb2.TOOL_EXECUTOR_CALLER, content_pb2.TOOL_EXECUTOR_UNSPECIFIED)


def _words(message: content_pb2.Message) -> str:
    return "".join(part.text.text or part.refusal.text for part in message.parts)
