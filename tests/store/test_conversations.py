"""The tables of conversations: turns, and what is forgotten when."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest

from tests.fixtures.gateway import user
from trunkline.v1 import conversations_pb2
from trunkline_server.core import ids
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.store.conversation_messages import ConversationMessages, Saying
from trunkline_server.store.conversations import Conversation, Conversations, Draft, Reader
from trunkline_server.store.database import Database
from trunkline_server.store.tenants import Tenants

EMPTY: Final = Draft("", "", b"", {}, ())
NEVER: Final = timedelta(0)
DAY: Final = timedelta(days=1)
LEASE_S: Final = 60.0


@pytest.fixture
async def ada(database: Database) -> Reader:
    return Reader((await Tenants(database).create("acme")).tenant_id, "ada")


@pytest.fixture
def talks(database: Database) -> Conversations:
    return Conversations(database)


async def age(database: Database, talk: Conversation, column: str) -> None:
    """Two days go by."""
    await database.execute(
        f"UPDATE conversation SET {column} = now() - interval '2 days' WHERE conversation_id = $1",
        talk.conversation_id,
    )


async def count(database: Database, table: str = "conversation") -> int:
    return int(await database.fetchval(f"SELECT count(*) FROM {table}"))


async def say(database: Database, talk: Conversation, *texts: str) -> None:
    messages = [conversations_pb2.ConversationMessage(message=user(text), user_id="ada") for text in texts]
    await ConversationMessages(database).append(Saying(talk.conversation_id, messages))


async def test_deleted_ones_are_removed_after_their_time(database: Database, talks: Conversations, ada: Reader) -> None:
    old, new = await talks.create(ada, EMPTY), await talks.create(ada, EMPTY)
    await say(database, old, "a", "b")
    for talk in (old, new):
        await talks.delete(ada, talk.conversation_id)
    await age(database, old, "delete_time")
    assert await talks.purge(DAY, NEVER) == 1
    assert (await count(database), await count(database, "conversation_message")) == (1, 0)
    assert await talks.purge(DAY, NEVER) == 0


async def test_idle_ones_are_removed_where_that_is_wanted(
    database: Database, talks: Conversations, ada: Reader
) -> None:
    idle, busy = await talks.create(ada, EMPTY), await talks.create(ada, EMPTY)
    for talk in (idle, busy):
        await age(database, talk, "update_time")
    await say(database, busy, "a")
    assert await talks.purge(DAY, NEVER) == 0
    assert await talks.purge(DAY, DAY) == 1
    with pytest.raises(TrunklineError) as caught:
        await talks.find(ada, idle.conversation_id)
    assert caught.value.reason is Reason.RESOURCE_NOT_FOUND
    assert (await talks.find(ada, busy.conversation_id)).message_count == 1


async def test_more_than_one_step_holds_is_removed_in_steps(
    database: Database, talks: Conversations, ada: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trunkline_server.store.conversations.PURGE_MESSAGES", 3)
    own, theirs = await talks.create(ada, EMPTY), await talks.create(Reader(ada.tenant_id, "bob"), EMPTY)
    for talk in (own, theirs):
        await say(database, talk, *"abcdefgh")
    assert await talks.erase_user(ada.tenant_id, "ada") == (1, 8)
    assert await count(database, "conversation_message") == 0
    assert (await talks.find(Reader(ada.tenant_id, "bob"), theirs.conversation_id)).message_count == 0


async def test_a_user_of_many_conversations_is_erased_in_steps(
    database: Database, talks: Conversations, ada: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trunkline_server.store.conversations.PURGE_CONVERSATIONS", 2)
    bob = Reader(ada.tenant_id, "bob")
    for _ in range(5):
        await talks.create(ada, EMPTY)
        await talks.create(bob, replace(EMPTY, participants=("ada",)))
    deleted = (await talks.page(ada, "ada", None, 1))[0]
    await talks.delete(ada, deleted.conversation_id)
    assert await talks.erase_user(ada.tenant_id, "ada") == (5, 0)
    assert await count(database) == 5
    assert not any(talk.participants for talk in await talks.page(bob, "", None, 10))


async def test_one_has_the_turn_until_it_is_released_or_its_lease_is_over(
    database: Database, talks: Conversations, ada: Reader
) -> None:
    talk = (await talks.create(ada, EMPTY)).conversation_id
    first, second, third = ids.new_uuid(), ids.new_uuid(), ids.new_uuid()
    assert await talks.begin(ada, talk, first, LEASE_S) is not None
    assert await talks.begin(ada, talk, second, LEASE_S) is None
    await talks.release(talk, second)
    assert await talks.begin(ada, talk, second, LEASE_S) is None
    await talks.release(talk, first)
    assert await talks.begin(ada, talk, second, 0.0) is not None
    assert await talks.begin(ada, talk, third, LEASE_S) is not None
    await talks.renew([third], -1.0)
    assert await talks.begin(ada, talk, first, LEASE_S) is not None


async def test_what_is_kept_ends_its_own_turn_alone(database: Database, talks: Conversations, ada: Reader) -> None:
    talk = (await talks.create(ada, EMPTY)).conversation_id
    turn, messages = ids.new_uuid(), ConversationMessages(database)
    await talks.begin(ada, talk, turn, LEASE_S)
    said = [conversations_pb2.ConversationMessage(message=user("a"))]
    await messages.append(Saying(talk, said))
    await messages.append(Saying(talk, said, turn_id=ids.new_uuid()))
    assert await talks.begin(ada, talk, ids.new_uuid(), LEASE_S) is None
    await messages.append(Saying(talk, said, turn_id=turn))
    assert await talks.begin(ada, talk, ids.new_uuid(), LEASE_S) is not None


async def test_what_is_deleted_takes_no_more_messages(database: Database, talks: Conversations, ada: Reader) -> None:
    talk = (await talks.create(ada, EMPTY)).conversation_id
    await talks.delete(ada, talk)
    said = [conversations_pb2.ConversationMessage(message=user("a"))]
    assert await ConversationMessages(database).append(Saying(talk, said)) is None
    assert await count(database, "conversation_message") == 0


async def test_the_end_fits_both_limits(database: Database, talks: Conversations, ada: Reader) -> None:
    talk, messages = await talks.create(ada, EMPTY), ConversationMessages(database)
    await say(database, talk, *"abcde")
    whole = await messages.tail(talk.conversation_id, 10, 1_000_000)
    assert [each.position for each in whole] == [1, 2, 3, 4, 5]
    assert [each.position for each in await messages.tail(talk.conversation_id, 2, 1_000_000)] == [4, 5]
    assert await messages.tail(talk.conversation_id, 10, 0) == []
