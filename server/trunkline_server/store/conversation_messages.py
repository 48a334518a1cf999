"""The table of messages of conversations: appended in order, read from either end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from trunkline.v1 import conversations_pb2
from trunkline_server.core import history, ids
from trunkline_server.core.moment import timestamp
from trunkline_server.store import queries
from trunkline_server.store.database import Connection, Database

_SQL = queries.load(__file__)

TURN_MESSAGES_MAX: Final = 1000


class Earlier(NamedTuple):
    """A message of the history."""

    position: int
    begins_turn: bool
    message: conversations_pb2.ConversationMessage


@dataclass(frozen=True, slots=True)
class Saying:
    """What is to be appended: gives the messages their ids, ends the turn, and sets the title where there is none."""

    conversation_id: UUID
    messages: Sequence[conversations_pb2.ConversationMessage]
    title: str = ""
    turn_id: UUID | None = None


class Placed(NamedTuple):
    """How a conversation stands behind what was appended."""

    last_position: int
    message_count: int
    update_time: datetime


class Stats(NamedTuple):
    """What is in a conversation."""

    message_count: int
    user_message_count: int
    assistant_message_count: int
    input_tokens: int
    output_tokens: int
    cost_nano_usd: int
    charge_nanos: int
    average_duration_ms: int
    models: Sequence[str] | None
    first_time: datetime | None
    last_time: datetime | None


class ConversationMessages:
    """Whoever calls has found the conversation before."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, saying: Saying) -> Placed | None:
        """All or none, behind what is there; None where the conversation is gone."""
        row = await self._database.fetchrow(_SQL.append, *_appended(saying))
        return Placed(*row) if row else None

    async def tail(self, conversation_id: UUID, messages_max: int, tokens_max: int) -> list[Earlier]:
        """The newest, oldest of them first."""
        rows = await self._database.fetch(_SQL.tail, conversation_id, messages_max, tokens_max)
        return [_earlier(row) for row in rows]

    async def between(
        self, conversation_id: UUID, after: int, through: int, messages_max: int, tokens_max: int
    ) -> list[Earlier]:
        """The oldest behind a position and up to another; at least one where there are any."""
        asked = (conversation_id, after, through, messages_max, tokens_max)
        return [_earlier(row) for row in await self._database.fetch(_SQL.between, *asked)]

    async def last_turn(self, conversation_id: UUID) -> list[Earlier]:
        """Everything since the user spoke last."""
        return [_earlier(row) for row in await self._database.fetch(_SQL.last_turn, conversation_id, TURN_MESSAGES_MAX)]

    async def page(
        self, conversation_id: UUID, behind: int | None, limit: int, *, newest_first: bool
    ) -> list[conversations_pb2.ConversationMessage]:
        """In their order, or from the end."""
        query = _SQL.newest if newest_first else _SQL.oldest
        return [_message(row) for row in await self._database.fetch(query, conversation_id, behind, limit)]

    async def stats(self, conversation_id: UUID) -> Stats:
        row = await self._database.fetchrow(_SQL.stats, conversation_id)
        return Stats(*(row or (0, 0, 0, 0, 0, 0, 0, 0, None, None, None)))


async def append_within(connection: Connection, saying: Saying) -> None:
    """In somebody's transaction; a conversation that is gone takes nothing."""
    await connection.execute(_SQL.append, *_appended(saying))


def _appended(saying: Saying) -> tuple[object, ...]:
    columns = zip(*map(_columns, saying.messages), strict=True)
    return saying.conversation_id, saying.turn_id, saying.title, *map(list, columns)


def _columns(kept: conversations_pb2.ConversationMessage) -> tuple[object, ...]:
    message_id = ids.new_uuid()
    body = kept.SerializeToString()
    kept.message_id = ids.spell("msg", message_id)
    return (
        message_id,
        kept.user_id,
        kept.message.role,
        history.begins_turn(kept.message),
        history.size_tokens(kept.message),
        body,
        f"{kept.provider}/{kept.model}" if kept.provider else "",
        kept.usage.input_tokens,
        kept.usage.output_tokens,
        kept.cost.nanos,
        kept.charge.nanos,
        kept.response_duration.ToMilliseconds(),
    )


def _earlier(row: asyncpg.Record) -> Earlier:
    return Earlier(row[0], row[1], conversations_pb2.ConversationMessage.FromString(row[2]))


def _message(row: asyncpg.Record) -> conversations_pb2.ConversationMessage:
    told = conversations_pb2.ConversationMessage(
        message_id=ids.spell("msg", row["message_id"]),
        position=row["position"],
        create_time=timestamp(row["create_time"]),
    )
    told.MergeFromString(row["body"])
    return told
