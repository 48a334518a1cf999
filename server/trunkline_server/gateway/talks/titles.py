"""Titles that a model makes, once the first answer of a conversation is told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from trunkline.v1 import chat_pb2, content_pb2, conversations_pb2
from trunkline_server.core import history, persona
from trunkline_server.core.call import Call
from trunkline_server.core.errors import TrunklineError
from trunkline_server.gateway.gateway import Gateway
from trunkline_server.gateway.talks.talk import Talk
from trunkline_server.store.conversations import Conversations

TIMEOUT_S: Final = 30.0
TOKENS_MAX: Final = 32
EXCERPT_CHARS: Final = 2000
WISH: Final = "Give this conversation a title of at most six words. Answer with the title alone, without quotes."


@dataclass
class Titles:
    """A title has nobody waiting for it; the caller of the answer is charged."""

    gateway: Gateway
    conversations: Conversations
    _making: set[asyncio.Task[None]] = field(default_factory=set)

    def want(self, call: Call, talk: Talk) -> None:
        """Has one made, where the conversation wants one and has none."""
        wanted = talk.settings.auto_title == conversations_pb2.AUTO_TITLE_MODEL and not talk.kept.title
        if wanted and talk.is_kept and (text := _text(talk.new)):
            task = asyncio.create_task(self._make(call, talk, text))
            self._making.add(task)
            task.add_done_callback(self._making.discard)

    async def drained(self) -> None:
        """What is not ready stays undone."""
        for task in self._making:
            task.cancel()
        await asyncio.gather(*self._making, return_exceptions=True)

    async def _make(self, call: Call, talk: Talk, text: str) -> None:
        deadline = asyncio.get_running_loop().time() + TIMEOUT_S
        own = Call(
            method=call.method,
            caller=call.caller,
            request_id=call.request_id,
            deadline=deadline,
            user_id=call.user_id,
            account_id=call.account_id,
        )
        question = chat_pb2.ChatInput(
            model=talk.settings.title_model or talk.input.model,
            messages=[persona.instruction(WISH), _said(text[:EXCERPT_CHARS])],
            sampling=chat_pb2.Sampling(max_output_tokens=TOKENS_MAX),
        )
        try:
            completion = chat_pb2.Completion()
            (await self.gateway.complete(own, question)).write(completion)
            title = _text([candidate.message for candidate in completion.candidates[:1]])
        except TrunklineError:
            title = ""
        await self.conversations.give_title(talk.conversation_id, history.shortened(title or text))


def _said(text: str) -> content_pb2.Message:
    part = content_pb2.Part(text=content_pb2.TextPart(text=text))
    return content_pb2.Message(role=content_pb2.ROLE_USER, parts=[part])


def _text(messages: Sequence[content_pb2.Message]) -> str:
    return " ".join(part.text.text for message in messages for part in message.parts if part.text.text)
