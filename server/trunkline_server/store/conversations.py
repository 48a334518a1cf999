"""The table of conversations. What a user may not reach is not there for that user."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from trunkline_server.core import ids
from trunkline_server.core.errors import TrunklineError, not_found
from trunkline_server.store import queries
from trunkline_server.store.database import Database

_SQL = queries.load(__file__)

PURGE_CONVERSATIONS: Final = 100
PURGE_MESSAGES: Final = 5000
DUE_S: Final = 30.0
"""All of the table is looked through for those that are idle."""
FORK_S: Final = 30.0
"""Ten thousand messages are copied."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Who asks: a tenant, or one of its end users."""

    tenant_id: UUID
    user_id: str = ""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A row without its messages; `settings` is a `trunkline.v1.ConversationSettings`."""

    conversation_id: UUID
    tenant_id: UUID
    user_id: str
    title: str
    system_prompt: str
    settings: bytes
    metadata: Mapping[str, str]
    participants: Sequence[str]
    parent_id: UUID | None
    message_count: int
    last_position: int
    summary: str
    summary_through: int
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class Draft:
    """What a caller says of a conversation; None leaves it as it is."""

    title: str | None = None
    system_prompt: str | None = None
    settings: bytes | None = None
    metadata: Mapping[str, str] | None = None
    participants: Sequence[str] | None = None

    @property
    def columns(self) -> tuple[object, ...]:
        metadata = None if self.metadata is None else msgspec.json.encode(self.metadata).decode()
        participants = None if self.participants is None else list(self.participants)
        return self.title, self.system_prompt, self.settings, metadata, participants


class Conversations:
    """Raises RESOURCE_NOT_FOUND where a reader may not reach a conversation."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, reader: Reader, draft: Draft) -> Conversation:
        """One of the reader's own; the draft leaves nothing open."""
        who = (ids.new_uuid(), reader.tenant_id, reader.user_id)
        row = await self._database.of(reader.tenant_id).fetchrow(_SQL.create, *who, *draft.columns)
        return _found(row, who[0])

    async def find(self, reader: Reader, conversation_id: UUID) -> Conversation:
        return _found(
            await self._database.of(reader.tenant_id).fetchrow(_SQL.find, *_who(reader, conversation_id)),
            conversation_id,
        )

    async def page(self, reader: Reader, owner: str, before: UUID | None, limit: int) -> list[Conversation]:
        """Youngest first; an empty `owner` does not narrow."""
        asked = (reader.tenant_id, reader.user_id, owner, before, limit)
        return [_conversation(row) for row in await self._database.of(reader.tenant_id).fetch(_SQL.page, *asked)]

    async def update(self, reader: Reader, conversation_id: UUID, draft: Draft) -> Conversation:
        row = await self._database.of(reader.tenant_id).fetchrow(
            _SQL.update, *_who(reader, conversation_id), *draft.columns
        )
        return _found(row, conversation_id)

    async def give_title(self, conversation_id: UUID, title: str) -> None:
        """Where it has none yet."""
        await self._database.execute(_SQL.give_title, conversation_id, title)

    async def sum_up(self, conversation_id: UUID, summary: str, through: int, since: int) -> None:
        """A summary that reaches further than the last, which reached to `since`."""
        await self._database.execute(_SQL.sum_up, conversation_id, summary, through, since)

    async def delete(self, reader: Reader, conversation_id: UUID) -> None:
        """Out of reach; its row goes later."""
        if await self._database.of(reader.tenant_id).fetchval(_SQL.delete, *_who(reader, conversation_id)) is None:
            raise _missing(conversation_id)

    async def clear(self, reader: Reader, conversation_id: UUID) -> int:
        """How many messages were removed."""
        row = await self._database.of(reader.tenant_id).fetchrow(_SQL.clear, *_who(reader, conversation_id))
        if row is None or not row["found"]:
            raise _missing(conversation_id)
        return int(row["removed"])

    async def fork(self, reader: Reader, conversation_id: UUID, title: str, through: int | None) -> Conversation:
        """A new one of the reader's own with the messages up to that position; all of them without one."""
        new_id = ids.new_uuid()
        async with self._database.of(reader.tenant_id).patient(FORK_S) as connection:
            asked = (*_who(reader, conversation_id), new_id, title, through)
            row = await connection.fetchrow(_SQL.fork, *asked)
            forked = _found(row, conversation_id)
            await connection.execute(_SQL.fork_messages, conversation_id, new_id, row["last_position"] if row else 0)
        return forked

    # Turns: one answer at a time is made in a conversation.

    async def begin(self, reader: Reader, conversation_id: UUID, turn_id: UUID, lease_s: float) -> Conversation | None:
        """Takes the turn; None while somebody else has it."""
        row = await self._database.fetchrow(_SQL.begin, *_who(reader, conversation_id), turn_id, lease_s)
        if row is None:
            await self.find(reader, conversation_id)
            return None
        return _conversation(row)

    async def renew(self, turn_ids: Iterable[UUID], lease_s: float) -> None:
        """They go on."""
        await self._database.execute(_SQL.renew, list(turn_ids), lease_s)

    async def release(self, conversation_id: UUID, turn_id: UUID) -> None:
        """It is over, and nothing came of it."""
        await self._database.execute(_SQL.release, conversation_id, turn_id)

    # Forgetting.

    async def purge(self, deleted_for: timedelta, idle_for: timedelta) -> int:
        """Removes some that were deleted so long ago, or idle so long, where that is not 0; says how many."""
        asked = (deleted_for.total_seconds(), idle_for.total_seconds(), PURGE_CONVERSATIONS)
        async with self._database.patient(DUE_S) as connection:
            due = [row[0] for row in await connection.fetch(_SQL.due, *asked)]
        return await self._remove(due)

    async def erase_user(self, tenant_id: UUID, user_id: str) -> tuple[int, int]:
        """Removes an end user: how many conversations of theirs, and how many messages in those of others."""
        whose, removed, unsaid = (tenant_id, user_id, PURGE_CONVERSATIONS), 0, 0
        while await self._database.execute(_SQL.part_with, *whose) != "UPDATE 0":
            pass
        while doomed := [row[0] for row in await self._database.fetch(_SQL.doom_user, *whose)]:
            removed += await self._remove(doomed)
        while count := await self._database.fetchval(_SQL.unsay, tenant_id, user_id, PURGE_MESSAGES):
            unsaid += int(count)
        return removed, unsaid

    async def _remove(self, conversation_ids: list[UUID]) -> int:
        """They are out of reach already. In steps, each within the time that a statement may take."""
        while (await self._database.execute(_SQL.empty, conversation_ids, PURGE_MESSAGES)) != "DELETE 0":
            pass
        return int((await self._database.execute(_SQL.remove, conversation_ids)).removeprefix("DELETE "))


def _who(reader: Reader, conversation_id: UUID) -> tuple[UUID, UUID, str]:
    return conversation_id, reader.tenant_id, reader.user_id


def _missing(conversation_id: UUID) -> TrunklineError:
    return not_found("conversation", ids.spell("conv", conversation_id))


def _found(row: asyncpg.Record | None, conversation_id: UUID) -> Conversation:
    if row is None:
        raise _missing(conversation_id)
    return _conversation(row)


def _conversation(row: asyncpg.Record) -> Conversation:
    return Conversation(
        conversation_id=row["conversation_id"],
        tenant_id=row["tenant_id"],
        user_id=row["user_id"],
        title=row["title"],
        system_prompt=row["system_prompt"],
        settings=row["settings"],
        metadata=msgspec.json.decode(row["metadata"], type=dict[str, str]),
        participants=row["participants"],
        parent_id=row["parent_id"],
        message_count=row["message_count"],
        last_position=row["last_position"],
        summary=row["summary"],
        summary_through=row["summary_through"],
        create_time=row["create_time"],
        update_time=row["update_time"],
    )
