"""Ends of conversations in Redis: used where they prove to be the newest, and never otherwise."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from tests.fixtures.dialects import DIALECTS
from tests.fixtures.gateway import RunningGateway, StartGateway, user
from tests.fixtures.talks import Speaker, settings
from tests.fixtures.until import until
from tests.fixtures.upstream import Upstream
from tests.fixtures.valkey import Valkey, own_valkey, valkey_server, valkey_url
from trunkline.v1 import conversations_pb2
from trunkline_server.store.conversation_tails import Row, Tail
from trunkline_server.store.database import Database

__all__ = ["own_valkey", "valkey_server", "valkey_url"]

OPENAI = DIALECTS[0]


@dataclass(frozen=True)
class Table:
    """Somebody who talks to a model that is scripted, at two replicas that share a Redis."""

    upstream: Upstream
    redis: Redis
    here: Speaker
    there: Speaker

    async def ask(self, who: Speaker, talk: str, text: str) -> list[str]:
        """What the model was sent. The copy is written once this returns."""
        before = await self.copy()
        sent = await self.ask_at_once(who, talk, text)
        await until(lambda: self.is_new(before))
        return sent

    async def ask_at_once(self, who: Speaker, talk: str, text: str) -> list[str]:
        self.upstream.reply(json=OPENAI.whole(f"re {text}", 1))
        await who.ask(talk, text)
        return [each["content"] for each in self.upstream.requests[-1].json()["messages"]]

    async def copy(self) -> bytes | None:
        """Of the only conversation that has one."""
        keys = await self.redis.keys("trunkline:talk:*")
        return cast("bytes | None", await self.redis.get(keys[0])) if keys else None

    async def is_new(self, before: bytes | None) -> bool:
        return await self.copy() not in (before, None)


@asynccontextmanager
async def seated(start_gateway: StartGateway, upstream: Upstream, url: str) -> AsyncIterator[Table]:
    environment = OPENAI.environment(upstream.url) | {"TRUNKLINE_REDIS_URL": url}
    sections: dict[str, Any] = {"conversations": {"tails_in_redis": "true"}, "limits": {"redis_timeout_s": 20}}
    gateways: Sequence[RunningGateway] = [await start_gateway(environment, **sections) for _ in range(2)]
    async with Redis.from_url(url) as redis:
        yield Table(upstream, redis, *(Speaker(each, "ada") for each in gateways))


@pytest.fixture
async def table(start_gateway: StartGateway, upstream: Upstream, valkey_url: str) -> AsyncIterator[Table]:
    async with seated(start_gateway, upstream, valkey_url) as table:
        yield table


async def begin(table: Table, **fields: Any) -> str:
    return await table.here.begin(settings=settings(default_model=OPENAI.name, **fields))


async def hide(database: Database) -> None:
    """Who reads messages from the database now finds none: not what anybody else could bring about."""
    await database.execute("DELETE FROM conversation_message")


async def test_what_was_said_here_is_known_there_without_the_database(table: Table, database: Database) -> None:
    talk = await begin(table)
    await table.ask(table.here, talk, "a")
    await table.ask(table.here, talk, "b")
    await hide(database)
    assert await table.ask(table.there, talk, "c") == ["a", "re a", "b", "re b", "c"]


async def test_as_much_is_sent_as_the_database_would_give(table: Table, database: Database) -> None:
    talk = await begin(table, max_messages=3)
    for text in ("a", "b", "c"):
        await table.ask(table.here, talk, text)
    assert await table.ask(table.here, talk, "d") == ["c", "re c", "d"]
    await hide(database)
    assert await table.ask(table.there, talk, "e") == ["d", "re d", "e"]


async def test_a_copy_that_is_behind_is_not_used(table: Table, database: Database) -> None:
    talk = await begin(table)
    await table.ask(table.here, talk, "a")
    await table.there.append(talk, user("by hand"))  # nobody writes a copy of it, as nobody does after a crash
    assert await table.ask(table.here, talk, "b") == ["a", "re a", "by hand", "b"]
    await database.execute("DELETE FROM conversation_message WHERE position <= 2")
    await database.execute("UPDATE conversation SET message_count = message_count - 2")
    assert await table.ask(table.there, talk, "c") == ["by hand", "b", "re b", "c"]


async def test_what_is_cleared_or_erased_is_nowhere(table: Table) -> None:
    talk = await begin(table)
    await table.ask(table.here, talk, "a")
    assert await table.copy()
    clear = conversations_pb2.ClearConversationRequest(conversation_id=talk)
    await table.here.gateway.conversations.ClearConversation(clear, metadata=table.here.metadata)
    assert not await table.copy()
    assert await table.ask(table.there, talk, "b") == ["b"]
    erase = conversations_pb2.EraseUserConversationsRequest(user_id="ada")
    await table.here.gateway.conversations.EraseUserConversations(erase, metadata=table.here.metadata)
    assert not await table.copy()


async def test_calls_go_on_without_redis(start_gateway: StartGateway, upstream: Upstream, own_valkey: Valkey) -> None:
    async with seated(start_gateway, upstream, own_valkey.url) as table:
        talk = await begin(table)
        await table.ask(table.here, talk, "a")
        own_valkey.process.kill()
        own_valkey.process.wait()
        assert await table.ask_at_once(table.there, talk, "b") == ["a", "re a", "b"]
        assert await table.ask_at_once(table.here, talk, "c") == ["a", "re a", "b", "re b", "c"]


@pytest.mark.parametrize(
    ("messages_max", "tokens_max", "expected"),
    [
        (2, 1000, [3, 4]),
        (3, 1000, [2, 3, 4]),
        (9, 25, [3, 4]),
        (9, 9, []),
        (4, 1000, None),
        (9, 30, None),
    ],
)
def test_what_may_lack_older_messages_is_no_answer(
    messages_max: int, tokens_max: int, expected: list[int] | None
) -> None:
    tail = Tail(4, 4, datetime.now(UTC), [Row(place, True, 10, b"") for place in (2, 3, 4)])
    found = tail.newest(messages_max, tokens_max)
    assert (None if found is None else [row.position for row in found]) == expected
