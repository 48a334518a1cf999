"""What of a conversation's history goes with a call: as much as its settings and the model's context window allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from trunkline.v1 import chat_pb2, content_pb2, conversations_pb2
from trunkline_server.core import history, persona
from trunkline_server.core.call import Call
from trunkline_server.core.errors import invalid
from trunkline_server.core.estimate import input_tokens
from trunkline_server.gateway.candidates import Candidates
from trunkline_server.gateway.routes import Route
from trunkline_server.gateway.talks.summaries import Summaries
from trunkline_server.store.conversation_messages import ConversationMessages, Earlier
from trunkline_server.store.conversation_tails import ConversationTails
from trunkline_server.store.conversations import Conversation

MESSAGES_DEFAULT: Final = 200
TOKENS_MAX: Final = 1_000_000
"""Of a history that goes to a model whose context window is not known."""
ANSWER_TOKENS: Final = 4096
SUMMARY_TOKENS: Final = 1024


class Recalled(NamedTuple):
    """The question with its history, and a warning where some of that was left out; `tail`: what was read of it."""

    whole: chat_pb2.ChatInput
    warning: chat_pb2.Warning | None
    tail: Sequence[Earlier]


@dataclass(frozen=True)
class Recollection:
    """`candidates` tell which model a call means."""

    messages: ConversationMessages
    tails: ConversationTails
    candidates: Candidates
    summaries: Summaries

    async def whole(
        self, call: Call, input: chat_pb2.ChatInput, kept: Conversation, *, only_looks: bool = False
    ) -> Recalled:
        """`only_looks`: nothing is changed for it, and nobody charged."""
        settings = conversations_pb2.ConversationSettings.FromString(kept.settings)
        whole = _with_settings(input, settings, kept.system_prompt)
        said = list(whole.messages)
        lead = next((place for place, each in enumerate(said) if not history.is_instruction(each)), len(said))
        new = said[lead:]
        room = self._room_tokens(call, whole) - (SUMMARY_TOKENS if settings.summarize else 0)
        limit = settings.max_messages or MESSAGES_DEFAULT
        tail = await self._tail(kept, limit, max(room, 0))
        earlier = await self._earlier(kept, tail, is_bound=history.answers_calls(new))
        if settings.summarize and not only_looks:
            kept = await self._summed_up(call, settings.summary_model or whole.model, kept, earlier)
        sent = history.sendable([each.message.message for each in earlier], new)
        messages = [*said[:lead], *_summary(settings, kept), *sent, *new]
        whole.ClearField("messages")
        whole.messages.extend(messages)
        return Recalled(whole, _warning(kept.message_count, _left_out(settings, kept, earlier)), tail)

    async def _summed_up(self, call: Call, model: str, kept: Conversation, earlier: list[Earlier]) -> Conversation:
        """With a summary of what is left out. It reaches to the middle of what is sent, and so lasts for a while."""
        if kept.summary_through >= _first(kept, earlier) - 1 or len(earlier) >= kept.message_count:
            return kept
        middle = earlier[len(earlier) // 2].position if earlier else kept.last_position
        return await self.summaries.brought(call, model, kept, middle)

    async def _tail(self, kept: Conversation, limit: int, tokens: int) -> list[Earlier]:
        """The newest messages, from nearest by."""
        if not kept.message_count:
            return []
        found = await self.tails.find(kept, limit, tokens)
        return await self.messages.tail(kept.conversation_id, limit, tokens) if found is None else found

    async def _earlier(self, kept: Conversation, tail: list[Earlier], *, is_bound: bool) -> list[Earlier]:
        """The newest whole turns; at least the last one where the call answers tool calls in it."""
        if not kept.message_count:
            return []
        is_all = len(tail) >= kept.message_count
        turns = tail[history.first_whole([each.begins_turn for each in tail], is_all=is_all) :]
        if not turns and is_bound:
            return await self.messages.last_turn(kept.conversation_id)
        return turns

    def _room_tokens(self, call: Call, input: chat_pb2.ChatInput) -> int:
        """What the context window leaves beside the question and its answer."""
        if not input.model:
            raise invalid("input.model", "is missing, and neither an assistant nor the conversation names one")
        route = self.candidates.first(call, input)
        if not route.context_window:
            return TOKENS_MAX
        return max(route.context_window - input_tokens(input) - _answer_tokens(input, route), 0)


def _answer_tokens(input: chat_pb2.ChatInput, route: Route) -> int:
    """Room for the answer: what was asked for, else what is usual."""
    if input.sampling.HasField("max_output_tokens"):
        return input.sampling.max_output_tokens
    most = route.entry.max_output_tokens if route.entry is not None else 0
    return min(most or ANSWER_TOKENS, ANSWER_TOKENS, route.context_window // 4)


def _with_settings(
    input: chat_pb2.ChatInput, settings: conversations_pb2.ConversationSettings, system_prompt: str
) -> chat_pb2.ChatInput:
    """A copy with what the conversation says and the call leaves open."""
    messages: list[content_pb2.Message] = [persona.instruction(system_prompt)] if system_prompt else []
    whole = chat_pb2.ChatInput(messages=messages)
    whole.MergeFrom(input)
    whole.ClearField("conversation_id")
    whole.model = whole.model or settings.default_model
    if settings.HasField("temperature"):
        persona.lend_sampling(chat_pb2.Sampling(temperature=settings.temperature), whole)
    return whole


def _first(kept: Conversation, earlier: list[Earlier]) -> int:
    """The position of the first message that is sent."""
    return earlier[0].position if earlier else kept.last_position + 1


def _summary(settings: conversations_pb2.ConversationSettings, kept: Conversation) -> tuple[content_pb2.Message, ...]:
    """As the user's words, not as instructions: users said what is in it."""
    if not settings.summarize or not kept.summary:
        return ()
    return (persona.said(f"[What was said before, in short: {kept.summary}]"),)


def _left_out(settings: conversations_pb2.ConversationSettings, kept: Conversation, earlier: list[Earlier]) -> int:
    """How many messages are neither sent nor in the summary."""
    unsent = kept.message_count - len(earlier)
    if not settings.summarize or not kept.summary:
        return unsent
    return min(unsent, _first(kept, earlier) - 1 - kept.summary_through)


def _warning(total: int, left_out: int) -> chat_pb2.Warning | None:
    if left_out <= 0:
        return None
    return chat_pb2.Warning(
        code=chat_pb2.WARNING_CODE_HISTORY_TRIMMED,
        field="conversation_id",
        message=f"the oldest {left_out} of {total} messages of the conversation were not sent",
    )
