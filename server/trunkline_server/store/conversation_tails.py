"""The newest messages of conversations that go on, in Redis: a copy that counts only where it proves to be the newest.

The proof is in the conversation's row, which a call has read anyway: where its messages end, how many there are, and
when it was changed last. Whatever changes the messages changes one of these in the same transaction, so a copy that was
not written, or written late, is passed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Self, cast
from uuid import UUID

import msgspec

from trunkline.v1 import conversations_pb2
from trunkline_server.core import history
from trunkline_server.store.conversation_messages import Earlier, Placed
from trunkline_server.store.conversations import Conversation
from trunkline_server.store.redis import RedisAwayError, SharedMemory

LIFE_MS: Final = 600_000
BYTES_MAX: Final = 256 * 1024
SCANNED_AT_ONCE: Final = 500


class Row(msgspec.Struct, frozen=True, array_like=True):
    """A message; `body` is a `trunkline.v1.ConversationMessage`."""

    position: int
    begins_turn: bool
    size_tokens: int
    body: bytes

    @classmethod
    def of(cls, position: int, kept: conversations_pb2.ConversationMessage) -> Self:
        said = kept.message
        return cls(position, history.begins_turn(said), history.size_tokens(said), kept.SerializeToString())

    @property
    def earlier(self) -> Earlier:
        message = conversations_pb2.ConversationMessage.FromString(self.body)
        return Earlier(self.position, self.begins_turn, message)


class Tail(msgspec.Struct, frozen=True, array_like=True):
    """The end of a conversation as it stood then."""

    last_position: int
    message_count: int
    update_time: datetime
    rows: Sequence[Row]

    def is_of(self, kept: Conversation) -> bool:
        stands = (kept.last_position, kept.message_count, kept.update_time)
        return stands == (self.last_position, self.message_count, self.update_time)

    def newest(self, messages_max: int, tokens_max: int) -> list[Row] | None:
        """As much as fits; None where older messages, which are not here, might fit too."""
        taken: list[Row] = []
        for row in reversed(self.rows):
            tokens_max -= row.size_tokens
            if len(taken) == messages_max or tokens_max < 0:
                break
            taken.append(row)
        else:
            if len(taken) < min(messages_max, self.message_count):
                return None
        return taken[::-1]


_TAIL: Final = msgspec.msgpack.Decoder(Tail)


class ConversationTails:
    """Without a Redis it has nothing. One that is away, or slow, is passed over."""

    def __init__(self, shared: SharedMemory | None) -> None:
        self._shared = shared

    @property
    def are_kept(self) -> bool:
        return self._shared is not None

    async def find(self, kept: Conversation, messages_max: int, tokens_max: int) -> list[Earlier] | None:
        """The newest of a conversation, as `ConversationMessages.tail` would read them; None: ask there."""
        if self._shared is None:
            return None
        client, key = self._shared.client, _key(kept)
        try:
            told = cast("bytes | None", await self._shared.ask(lambda: client.get(key)))
            tail = _TAIL.decode(told) if told else None
        except (RedisAwayError, msgspec.DecodeError):
            return None
        rows = tail.newest(messages_max, tokens_max) if tail is not None and tail.is_of(kept) else None
        return None if rows is None else [row.earlier for row in rows]

    async def keep(
        self,
        kept: Conversation,
        earlier: Sequence[Earlier],
        new: Sequence[conversations_pb2.ConversationMessage],
        placed: Placed,
    ) -> None:
        """The tail as it is behind a turn; not where somebody else has changed the conversation meanwhile."""
        after = (kept.last_position + len(new), kept.message_count + len(new))
        if self._shared is None or after != (placed.last_position, placed.message_count):
            return
        rows = [Row.of(each.position, each.message) for each in earlier]
        rows += [Row.of(position, each) for position, each in enumerate(new, kept.last_position + 1)]
        spelled = msgspec.msgpack.encode(Tail(*after, placed.update_time, rows))
        if len(spelled) <= BYTES_MAX:
            await self._put(_key(kept), spelled)

    async def forget(self, tenant_id: UUID) -> None:
        """All of a tenant's. What cannot be reached is gone within ten minutes."""
        if self._shared is None:
            return
        client, cursor, pattern = self._shared.client, 0, f"{_prefix(tenant_id)}*"
        try:
            while True:
                at = cursor
                cursor, keys = await self._shared.ask(lambda: client.scan(at, pattern, SCANNED_AT_ONCE))  # noqa: B023
                if keys:
                    await self._shared.ask(lambda: client.unlink(*keys))  # noqa: B023
                if not cursor:
                    return
        except RedisAwayError:
            return

    async def _put(self, key: str, spelled: bytes) -> None:
        if self._shared is not None:
            client = self._shared.client
            try:
                await self._shared.ask(lambda: client.set(key, spelled, px=LIFE_MS))
            except RedisAwayError:
                return


def _key(kept: Conversation) -> str:
    return f"{_prefix(kept.tenant_id)}{kept.conversation_id.hex}"


def _prefix(tenant_id: UUID) -> str:
    return f"trunkline:talk:{{{tenant_id.hex}}}:"
