"""What happens while an answer comes, for `match`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from trunkline.answer import Answer, ToolCall
from trunkline.v1 import chat_pb2


@dataclass(frozen=True)
class Started:
    """A provider begins to answer; once for each round of tools."""

    completion_id: str
    provider: str
    model: str


@dataclass(frozen=True)
class Said:
    """A piece of text."""

    text: str
    candidate: int = 0


@dataclass(frozen=True)
class Thought:
    """A piece of what the model thinks."""

    text: str
    candidate: int = 0


@dataclass(frozen=True)
class Refused:
    """A piece of a refusal."""

    text: str
    candidate: int = 0


@dataclass(frozen=True)
class ToolAsked:
    """The model wants a tool to be run."""

    call: ToolCall


@dataclass(frozen=True)
class ToolRan:
    """A function of yours was run for it."""

    call: ToolCall
    result_json: str
    failed: bool


@dataclass(frozen=True)
class Finished:
    """The answer is whole."""

    answer: Answer


Happening: TypeAlias = Started | Said | Thought | Refused | ToolAsked | ToolRan | Finished


def happening(event: chat_pb2.ChatEvent) -> Happening | None:
    """What an event means; `None` where it means nothing by itself."""
    match event.WhichOneof("event"):
        case "started":
            return Started(event.started.completion_id, event.started.provider, event.started.model)
        case "part_delta":
            return _grown(event.part_delta)
        case "part_completed" if event.part_completed.part.HasField("tool_call"):
            call = event.part_completed.part.tool_call
            return ToolAsked(ToolCall(call.call_id, call.name, call.arguments_json))
        case _:
            return None


def _grown(delta: chat_pb2.PartDelta) -> Happening | None:
    match delta.WhichOneof("delta"):
        case "text":
            return Said(delta.text, delta.candidate_index)
        case "reasoning":
            return Thought(delta.reasoning, delta.candidate_index)
        case "refusal":
            return Refused(delta.refusal, delta.candidate_index)
        case _:
            return None
