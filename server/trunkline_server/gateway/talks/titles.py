"""Titles that a model makes, once the first answer of a conversation is told."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from trunkline.v1 import conversations_pb2
from trunkline_server.core import history
from trunkline_server.core.call import Call
from trunkline_server.core.errors import TrunklineError
from trunkline_server.gateway.talks.aside import Aside
from trunkline_server.gateway.talks.talk import Talk
from trunkline_server.store.conversations import Conversations

TOKENS_MAX: Final = 32
EXCERPT_CHARS: Final = 2000
WISH: Final = "Give this conversation a title of at most six words. Answer with the title alone, without quotes."


@dataclass
class Titles:
    """A title has nobody waiting for it; the caller of the answer is charged."""

    aside: Aside
    conversations: Conversations
    _making: set[asyncio.Task[None]] = field(default_factory=set)

    def want(self, call: Call, talk: Talk) -> None:
        """Has one made, where the conversation wants one and has none."""
        wanted = talk.settings.auto_title == conversations_pb2.AUTO_TITLE_MODEL and not talk.kept.title
        if wanted and talk.is_kept and (text := " ".join(map(history.words, talk.new))):
            task = asyncio.create_task(self._make(call, talk, text))
            self._making.add(task)
            task.add_done_callback(self._making.discard)

    async def drained(self) -> None:
        """What is not ready stays undone."""
        for task in self._making:
            task.cancel()
        await asyncio.gather(*self._making, return_exceptions=True)

    async def _make(self, call: Call, talk: Talk, text: str) -> None:
        model = talk.settings.title_model or talk.input.model
        try:
            title = await self.aside.ask(call, model, WISH, text[:EXCERPT_CHARS], TOKENS_MAX)
        except TrunklineError:
            title = ""
        with suppress(TrunklineError):  # with the database away it stays without
            await self.conversations.give_title(talk.conversation_id, history.shortened(title or text))
