"""Whose turn it is in a conversation: one call at a time makes an answer there, in the order in which they came.

Within a process a lock decides, between replicas a lease on the conversation's row, which comes free when a replica
dies.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

from trunkline_server.core import ids
from trunkline_server.store.conversations import Conversation, Conversations, Reader

LEASE_S: Final = 30.0
RENEW_S: Final = 8.0
LOOK_S: Final = (0.02, 0.5)
"""How soon to look again whether another replica is done: at first, and at last."""


class Turns:
    """`renew` must be called every `RENEW_S`."""

    def __init__(self, conversations: Conversations) -> None:
        self._conversations = conversations
        self._locks: dict[UUID, tuple[asyncio.Lock, int]] = {}
        self._held: set[UUID] = set()

    async def renew(self) -> None:
        """What this process holds, it goes on holding."""
        if self._held:
            await self._conversations.renew(self._held, LEASE_S)

    @asynccontextmanager
    async def taken(
        self, reader: Reader, conversation_id: UUID, turn_id: UUID | None = None
    ) -> AsyncIterator[tuple[UUID, Conversation]]:
        """The turn's id, and the conversation as it stands now. A turn of a known id is gone on with. Raises
        RESOURCE_NOT_FOUND.
        """
        turn_id = turn_id or ids.new_uuid()
        async with self._alone(conversation_id):
            try:
                yield turn_id, await self._begun(reader, conversation_id, turn_id)
            finally:
                self._held.discard(turn_id)

    async def _begun(self, reader: Reader, conversation_id: UUID, turn_id: UUID) -> Conversation:
        pause_s, longest_s = LOOK_S
        self._held.add(turn_id)
        try:
            while (begun := await self._conversations.begin(reader, conversation_id, turn_id, LEASE_S)) is None:
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, longest_s)
        except asyncio.CancelledError:
            # the database may have given the turn to a caller who has just left
            await self._conversations.release(conversation_id, turn_id)
            raise
        return begun

    @asynccontextmanager
    async def _alone(self, conversation_id: UUID) -> AsyncIterator[None]:
        """A lock for as long as somebody wants it."""
        lock, count = self._locks.get(conversation_id) or (asyncio.Lock(), 0)
        self._locks[conversation_id] = (lock, count + 1)
        try:
            async with lock:
                yield
        finally:
            lock, count = self._locks[conversation_id]
            if count == 1:
                del self._locks[conversation_id]
            else:
                self._locks[conversation_id] = (lock, count - 1)
