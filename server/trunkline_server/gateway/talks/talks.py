"""The way into the room: what a call leans on is put into it, and what is said in a conversation is kept there.

plain call ──▶ as it is
prompt, assistant ──▶ filled in
collection ──▶ sources before the question ──▶ answered ──▶ cited
conversation ──▶ filled in ──▶ its turn comes ──▶ history ──▶ answered ──▶ kept, as far as the answer came
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from trunkline.v1 import chat_pb2
from trunkline_server.core import ids
from trunkline_server.core.call import Call
from trunkline_server.core.errors import Reason, TrunklineError, not_found
from trunkline_server.gateway.collections.finding import Finding
from trunkline_server.gateway.gateway import Gateway
from trunkline_server.gateway.talks.aside import Aside, guarded
from trunkline_server.gateway.talks.cast import Cast
from trunkline_server.gateway.talks.grounding import Grounding
from trunkline_server.gateway.talks.recollection import Recollection
from trunkline_server.gateway.talks.summaries import Summaries
from trunkline_server.gateway.talks.talk import Dictated, Minutes, Talk
from trunkline_server.gateway.talks.titles import Titles
from trunkline_server.gateway.talks.turn import MarkedTurn, Turn
from trunkline_server.gateway.talks.turns import Turns
from trunkline_server.store.assistants import Assistants
from trunkline_server.store.conversation_messages import ConversationMessages
from trunkline_server.store.conversation_tails import ConversationTails
from trunkline_server.store.conversations import Conversations, Reader
from trunkline_server.store.database import Database
from trunkline_server.store.prompts import Prompts
from trunkline_server.store.usage import Usage

SCOPE = "conversations:write"


@dataclass(frozen=True)
class Talks:
    """Stands around the gateway for ChatService, and for jobs."""

    cast: Cast
    conversations: Conversations
    recollection: Recollection
    turns: Turns
    minutes: Minutes
    titles: Titles
    grounding: Grounding

    @classmethod
    def over(cls, database: Database, tails: ConversationTails, gateway: Gateway, finding: Finding) -> Self:
        conversations, messages = Conversations(database), ConversationMessages(database)
        aside = Aside(gateway)
        summaries = Summaries(aside, conversations, messages)
        return cls(
            cast=Cast(Prompts(database), Assistants(database)),
            conversations=conversations,
            recollection=Recollection(messages, tails, gateway.admission.candidates, summaries),
            turns=Turns(conversations),
            minutes=Minutes(conversations, messages, tails, Usage(database)),
            titles=Titles(aside, conversations),
            grounding=Grounding(finding),
        )

    def turn(
        self, call: Call, input: chat_pb2.ChatInput, minutes: Minutes | None = None
    ) -> AbstractAsyncContextManager[Turn]:
        """The call's turn, with the whole question once it is entered. What is said goes into `minutes`."""
        return self._turn(call, input, minutes or self.minutes) if _leans(input) else Turn(input)

    def dictated(self, job_id: UUID) -> Dictated:
        """For a job, whose turn is the same whoever does it."""
        return Dictated(self.conversations, self.minutes.messages, self.minutes.tails, self.minutes.usage, job_id)

    async def question(self, call: Call, input: chat_pb2.ChatInput) -> chat_pb2.ChatInput:
        """The whole question that a call would ask now, with the most that it could read in a collection."""
        if not _leans(input):
            return input
        told = await self._told(call, input)
        return await self.grounding.at_most(call, told) if input.HasField("retrieval") else told

    async def _told(self, call: Call, input: chat_pb2.ChatInput) -> chat_pb2.ChatInput:
        """With what was said before."""
        filled, _ = await self._filled(call, input)
        if not filled.conversation_id:
            return filled
        kept = await self.conversations.find(_reader(call), _conversation_id(filled))
        return (await self.recollection.whole(call, filled, kept, only_looks=True)).whole

    async def drained(self) -> None:
        """What was said is kept."""
        await self.titles.drained()
        await self.minutes.drained()

    @asynccontextmanager
    async def _turn(self, call: Call, input: chat_pb2.ChatInput, minutes: Minutes) -> AsyncIterator[Turn]:
        async with self._told_turn(call, input, minutes) as turn:
            if input.HasField("retrieval"):
                async with self.grounding.over(call, turn) as grounded:
                    yield grounded
            else:
                yield turn

    @asynccontextmanager
    async def _told_turn(self, call: Call, input: chat_pb2.ChatInput, minutes: Minutes) -> AsyncIterator[Turn]:
        filled, prompt = await self._filled(call, input)
        if filled.conversation_id:
            async with self._talk(call, filled, prompt, minutes) as talk:
                yield talk
        else:
            yield Turn(filled) if prompt is None else MarkedTurn(filled, prompt)

    @asynccontextmanager
    async def _talk(
        self, call: Call, input: chat_pb2.ChatInput, prompt: chat_pb2.PromptUse | None, minutes: Minutes
    ) -> AsyncIterator[Talk]:
        async with self.turns.taken(_reader(call), _conversation_id(input), minutes.turn_id) as (turn_id, kept):
            talk, beside = Talk(call, input, kept, turn_id, minutes, prompt=prompt), guarded(call, input)
            try:
                talk.input, talk.warning, talk.tail = await self.recollection.whole(beside, input, kept)
                yield talk
            except BaseException as error:
                await talk.end(error)
                raise
            await talk.end(None)
        self.titles.want(beside, talk)

    async def _filled(
        self, call: Call, input: chat_pb2.ChatInput
    ) -> tuple[chat_pb2.ChatInput, chat_pb2.PromptUse | None]:
        """A copy: the request stays as it came."""
        if input.conversation_id and not call.caller.may(SCOPE):
            message = f"the API key lacks the scope {SCOPE!r}"
            raise TrunklineError(Reason.SCOPE_MISSING, message, metadata={"scope": SCOPE})
        filled = chat_pb2.ChatInput()
        filled.CopyFrom(input)
        return filled, await self.cast.fill(call, filled)


def _leans(input: chat_pb2.ChatInput) -> bool:
    return bool(input.conversation_id or input.assistant_id or input.HasField("prompt") or input.HasField("retrieval"))


def _reader(call: Call) -> Reader:
    return Reader(call.caller.tenant_id, call.user_id)


def _conversation_id(input: chat_pb2.ChatInput) -> UUID:
    conversation_id = ids.parse("conv", input.conversation_id)
    if conversation_id is None:
        raise not_found("conversation", input.conversation_id)
    return conversation_id
