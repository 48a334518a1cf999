"""What a question needs that only one of the two dialects has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.wire.openai_responses.quirks import THOUGHTLESS

ONLY_RESPONSES: Final = re.compile(r"(?:^|[-:])(?:pro|codex|deep-research|computer-use)(?:-|$)")
THINKS_BEFORE_CALLS: Final = re.compile(r"(?:^|:)gpt-(?:5\.(?:[4-9]|\d\d)|[6-9]|\d\d)")


@dataclass(frozen=True)
class Needs:
    """Models by their names: those that are served by Responses only; those that call functions there only, because
    they think first, which Chat Completions refuses; and those that do not think at all.
    """

    only_responses: re.Pattern[str] = ONLY_RESPONSES
    thinks_before_calls: re.Pattern[str] = THINKS_BEFORE_CALLS
    thoughtless: re.Pattern[str] = THOUGHTLESS

    def responses(self, ask: Ask) -> bool:
        """Whether the question must be asked as a response, or should be, because nothing speaks for the other."""
        if self.only_responses.search(ask.model) or _has_hosted_tools(ask):
            return True
        wanted = self._thinks_before_calls(ask) or self._shows_thoughts(ask) or _holds_responses(ask)
        return wanted and not self.chat(ask)

    def chat(self, ask: Ask) -> bool:
        """Whether something in the question can be asked as a chat completion only."""
        sampling = ask.input.sampling
        if sampling.candidate_count > 1 or sampling.stop_sequences:
            return True
        return any(part.HasField("audio") for part in _parts(ask.input))

    def _thinks_before_calls(self, ask: Ask) -> bool:
        thinks = ask.input.reasoning.effort != chat_pb2.REASONING_EFFORT_NONE
        return thinks and bool(ask.input.tools) and self.thinks_before_calls.search(ask.model) is not None

    def _shows_thoughts(self, ask: Ask) -> bool:
        return ask.input.reasoning.include_text and self.thoughtless.search(ask.model) is None


def _has_hosted_tools(ask: Ask) -> bool:
    tools = ask.input.tools
    return bool(tools) and any(tool.HasField("hosted") and tool.hosted.provider == ask.provider for tool in tools)


def _holds_responses(ask: Ask) -> bool:
    return any(_is_for_responses(part, ask.provider) for part in _parts(ask.input))


def _is_for_responses(part: content_pb2.Part, provider: str) -> bool:
    """State of an earlier response, and files that Chat Completions does not take where they are."""
    match part.WhichOneof("kind"):
        case "image":
            return part.image.blob.WhichOneof("source") == "file_id"
        case "document":
            return part.document.blob.WhichOneof("source") == "uri"
        case "opaque":
            return part.opaque.provider == provider
        case "tool_call":
            return _is_own(part, provider) and part.tool_call.executor == content_pb2.TOOL_EXECUTOR_PROVIDER
        case "reasoning":
            return _is_own(part, provider)
        case _:
            return False


def _is_own(part: content_pb2.Part, provider: str) -> bool:
    return part.HasField("provider_state") and part.provider_state.provider == provider


def _parts(question: chat_pb2.ChatInput) -> Iterator[content_pb2.Part]:
    """Text, of which there is most, can be said in both."""
    return (part for message in question.messages for part in message.parts if not part.HasField("text"))
