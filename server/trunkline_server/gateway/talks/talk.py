"""A call within a conversation: what is said there is kept there, as far as it came."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final
from uuid import UUID

from trunkline.v1 import chat_pb2, content_pb2, conversations_pb2
from trunkline_server.core import history, ids, money
from trunkline_server.core.call import Call
from trunkline_server.gateway.talks.overheard import Overheard
from trunkline_server.gateway.talks.told import answered, asked, first_said
from trunkline_server.gateway.talks.turn import Turn
from trunkline_server.store.conversation_messages import ConversationMessages, Earlier, Saying
from trunkline_server.store.conversation_tails import ConversationTails
from trunkline_server.store.conversations import Conversation, Conversations
from trunkline_server.store.usage import Usage

BY_FIRST_MESSAGE: Final = (conversations_pb2.AUTO_TITLE_UNSPECIFIED, conversations_pb2.AUTO_TITLE_FIRST_MESSAGE)


@dataclass
class Minutes:
    """Writes what was said. A caller who leaves does not stop it: `drained` waits for what is being written."""

    conversations: Conversations
    messages: ConversationMessages
    tails: ConversationTails
    usage: Usage
    turn_id: UUID | None = None
    """Of the turn, where it is known before it is taken."""
    keeps_broken: ClassVar[bool] = True
    """Also of an answer that broke off."""
    _writing: set[asyncio.Task[None]] = field(default_factory=set)

    async def write(self, talk: Talk, reply: conversations_pb2.ConversationMessage) -> None:
        """The question and its answer, together and in this order; the turn ends with them."""
        await self._whole(self._append(talk, talk.saying(reply)))

    async def release(self, talk: Talk) -> None:
        """Nothing was said."""
        await self._whole(self.conversations.release(talk.conversation_id, talk.turn_id))

    async def drained(self) -> None:
        while self._writing:
            await asyncio.gather(*self._writing, return_exceptions=True)

    async def _append(self, talk: Talk, saying: Saying) -> None:
        """Nobody waits for the copy of it: a call that comes before that reads it from where it is."""
        placed = await self.messages.append(saying)
        if placed is not None and self.tails.are_kept:
            self._begun(self.tails.keep(talk.kept, talk.tail, saying.messages, placed))

    async def _whole(self, writing: Coroutine[Any, Any, None]) -> None:
        await asyncio.shield(self._begun(writing))

    def _begun(self, writing: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(writing)
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        return task


@dataclass
class Dictated(Minutes):
    """Of a job: what was said is written by whatever ends the job, so a job that is done twice has spoken once, and one
    that fails has not spoken."""

    keeps_broken: ClassVar[bool] = False
    saying: Saying | None = None

    async def write(self, talk: Talk, reply: conversations_pb2.ConversationMessage) -> None:
        self.saying = talk.saying(reply)


class Talk(Turn):
    """`new` is what the caller said; `tail` is what was read of the history, `warning` tells what was left out."""

    __slots__ = (
        "_began",
        "_call",
        "_minutes",
        "_overheard",
        "_prompt",
        "is_kept",
        "kept",
        "new",
        "settings",
        "tail",
        "turn_id",
        "warning",
    )

    def __init__(
        self,
        call: Call,
        input: chat_pb2.ChatInput,
        kept: Conversation,
        turn_id: UUID,
        minutes: Minutes,
        *,
        prompt: chat_pb2.PromptUse | None,
    ) -> None:
        super().__init__(input)
        self.new: Sequence[content_pb2.Message] = input.messages
        self.kept = kept
        self.settings = conversations_pb2.ConversationSettings.FromString(kept.settings)
        self.turn_id = turn_id
        self.tail: Sequence[Earlier] = ()
        self.warning: chat_pb2.Warning | None = None
        self.is_kept = False
        self._began = time.perf_counter()
        self._call = call
        self._minutes = minutes
        self._overheard = Overheard()
        self._prompt = prompt

    @property
    def conversation_id(self) -> UUID:
        return self.kept.conversation_id

    def saying(self, reply: conversations_pb2.ConversationMessage) -> Saying:
        """The question and its answer as they are kept."""
        kept = [*asked(self.new, reply.user_id, reply.completion_id), reply]
        title = history.title_of(self.new) if self.settings.auto_title in BY_FIRST_MESSAGE else ""
        return Saying(self.conversation_id, kept, title, self.turn_id)

    async def told(self, completion: chat_pb2.Completion) -> None:
        completion.conversation_id = ids.spell("conv", self.conversation_id)
        if self._prompt is not None:
            completion.prompt.CopyFrom(self._prompt)
        if self.warning is not None:
            completion.warnings.append(self.warning)
        await self._keep(completion, first_said(completion))

    async def heard(self, events: AsyncGenerator[chat_pb2.ChatEvent, None]) -> AsyncGenerator[chat_pb2.ChatEvent, None]:
        """The answer is kept before its last event, so that whoever has heard that finds it."""
        async with aclosing(events):
            async for event in events:
                self._overheard.hear(event)
                if event.HasField("started"):
                    self._mark(event.started)
                elif event.HasField("completed"):
                    if self.warning is not None:
                        event.completed.warnings.append(self.warning)
                    await self._keep(self._overheard.completion, self._overheard.message())
                yield event

    async def end(self, broken_by: BaseException | None) -> None:
        """Keeps what a broken stream came to; where nothing was said, the call leaves no trace."""
        if self.is_kept:
            return None
        message = self._overheard.message()
        if not (message.parts and self._minutes.keeps_broken):
            return await self._minutes.release(self)
        completion = self._overheard.completion
        left = isinstance(broken_by, asyncio.CancelledError | GeneratorExit)
        completion.outcome = chat_pb2.OUTCOME_CANCELLED if left else chat_pb2.OUTCOME_FAILED
        await self._find_bill(completion)
        return await self._keep(completion, message)

    def _mark(self, started: chat_pb2.GenerationStarted) -> None:
        started.conversation_id = ids.spell("conv", self.conversation_id)
        if self._prompt is not None:
            started.prompt.CopyFrom(self._prompt)

    async def _keep(self, completion: chat_pb2.Completion, message: content_pb2.Message) -> None:
        self.is_kept = True
        reply = answered(completion, message, self._call.user_id, time.perf_counter() - self._began)
        await self._minutes.write(self, reply)

    async def _find_bill(self, completion: chat_pb2.Completion) -> None:
        """A broken call has told its bill to the books alone."""
        completion_id = ids.parse("cmpl", completion.completion_id)
        row = completion_id and await self._minutes.usage.find(self._call.caller.tenant_id, completion_id)
        if row:
            completion.outcome = chat_pb2.Outcome.Value(row.outcome)
            completion.usage.CopyFrom(row.message())
            completion.cost.CopyFrom(money.usd(row.cost_nano_usd))
            completion.charge.CopyFrom(money.credits(row.charge_nanos))
