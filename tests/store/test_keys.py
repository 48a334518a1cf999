"""API keys and their tenants, as stored."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from tests.fixtures.until import until
from trunkline_server.core import api_key
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.ids import new_uuid
from trunkline_server.store.connection import LOCK_TIMEOUT_S
from trunkline_server.store.database import Database, DatabaseSettings
from trunkline_server.store.keys import CHANNEL, KeyRecord, Keys, NewKey
from trunkline_server.store.page import Page
from trunkline_server.store.tenants import Tenants

PEPPER = b"p" * 32


@pytest.fixture
def keys(database: Database) -> Keys:
    return Keys(database, PEPPER)


@pytest.fixture
async def tenant_id(database: Database) -> UUID:
    return (await Tenants(database).create("acme")).tenant_id


def _now() -> datetime:
    return datetime.now(UTC)


def _opens(keys: Keys, record: KeyRecord, text: str, now: datetime) -> bool:
    key = api_key.parse(text)
    assert key is not None
    return record.fits(keys.hash(key.secret), now)


async def test_a_created_key_is_found_and_opens(keys: Keys, tenant_id: UUID) -> None:
    expire_time = _now() + timedelta(days=1)
    new = NewKey(tenant_id, "ci", ["chat", "embed"], "root", models=["openai/*"], expire_time=expire_time)
    created, text = await keys.create(new)
    found = await keys.find(created.key_id)
    assert found == created
    assert (found.tenant_id, found.name, found.created_by, found.expire_time) == (tenant_id, "ci", "root", expire_time)
    assert (found.scopes, found.models) == (frozenset({"chat", "embed"}), frozenset({"openai/*"}))
    assert _opens(keys, found, text, _now())


async def test_another_secret_or_pepper_does_not_open(database: Database, keys: Keys, tenant_id: UUID) -> None:
    record, text = await keys.create(NewKey(tenant_id, "ci", [], "root"))
    assert not _opens(keys, record, api_key.make("live").text, _now())
    assert not _opens(Keys(database, b"q" * 32), record, text, _now())
    assert not record.fits(b"", _now())


async def test_neither_secret_nor_hash_is_stored_or_shown(database: Database, keys: Keys, tenant_id: UUID) -> None:
    record, text = await keys.create(NewKey(tenant_id, "ci", [], "root"))
    row = await database.fetchval("SELECT k::text FROM api_key k")
    assert text.split("_")[3] not in row
    assert repr(record.secret_hash) not in repr(record)


@pytest.mark.parametrize("key_id", ["' OR '1'='1", "", "\x01", "a" * 12, "'; DROP TABLE api_key; --"])
async def test_what_is_no_key_id_finds_nothing(keys: Keys, tenant_id: UUID, key_id: str) -> None:
    await keys.create(NewKey(tenant_id, "ci", [], "root"))
    assert await keys.find(key_id) is None
    assert len(await keys.list(tenant_id, Page())) == 1


async def test_two_secrets_live_until_the_older_one_s_time_is_up(keys: Keys, tenant_id: UUID) -> None:
    record, old = await keys.create(NewKey(tenant_id, "ci", [], "root"))
    record, new = await keys.rotate(tenant_id, record.key_id, overlap_s=3600)
    later = _now() + timedelta(hours=2)
    assert [_opens(keys, record, text, _now()) for text in (old, new)] == [True, True]
    assert [_opens(keys, record, text, later) for text in (old, new)] == [False, True]
    record, newest = await keys.rotate(tenant_id, record.key_id, overlap_s=3600)
    assert [_opens(keys, record, text, _now()) for text in (old, new, newest)] == [False, True, True]


async def test_rotation_without_overlap_ends_the_old_secret(keys: Keys, tenant_id: UUID) -> None:
    record, old = await keys.create(NewKey(tenant_id, "ci", [], "root"))
    record, new = await keys.rotate(tenant_id, record.key_id, overlap_s=0)
    later = _now() + timedelta(seconds=1)
    assert [_opens(keys, record, text, later) for text in (old, new)] == [False, True]


async def test_expiry(keys: Keys, tenant_id: UUID) -> None:
    now = _now()
    record, _ = await keys.create(NewKey(tenant_id, "ci", [], "root", expire_time=now))
    assert record.expired(now)
    assert not record.expired(now - timedelta(seconds=1))
    endless, _ = await keys.create(NewKey(tenant_id, "ci", [], "root"))
    assert not endless.expired(now)


async def test_revoking_is_for_good_and_keeps_its_first_time(keys: Keys, tenant_id: UUID) -> None:
    record, _ = await keys.create(NewKey(tenant_id, "ci", [], "root"))
    first = await keys.revoke(tenant_id, record.key_id)
    assert first.revoke_time is not None
    assert (await keys.revoke(tenant_id, record.key_id)).revoke_time == first.revoke_time
    with pytest.raises(TrunklineError, match="does not exist"):
        await keys.rotate(tenant_id, record.key_id, overlap_s=0)


async def test_another_tenant_can_neither_see_nor_change_a_key(database: Database, keys: Keys, tenant_id: UUID) -> None:
    record, _ = await keys.create(NewKey(tenant_id, "ci", [], "root"))
    other = (await Tenants(database).create("other")).tenant_id
    for change in (keys.revoke(other, record.key_id), keys.rotate(other, record.key_id, overlap_s=0)):
        with pytest.raises(TrunklineError) as caught:
            await change
        assert caught.value.reason is Reason.RESOURCE_NOT_FOUND
    assert await keys.list(other, Page()) == []
    assert await keys.find(record.key_id) == record


async def test_a_key_needs_a_tenant(keys: Keys) -> None:
    with pytest.raises(TrunklineError) as caught:
        await keys.create(NewKey(new_uuid(), "ci", [], "root"))
    assert caught.value.reason is Reason.RESOURCE_NOT_FOUND


async def test_every_change_is_announced(database: Database, keys: Keys, tenant_id: UUID) -> None:
    heard: asyncio.Queue[str | None] = asyncio.Queue()
    await database.listen(CHANNEL, heard.put_nowait)
    record, _ = await keys.create(NewKey(tenant_id, "ci", [], "root"))
    await keys.rotate(tenant_id, record.key_id, overlap_s=1)
    await keys.revoke(tenant_id, record.key_id)
    assert [await asyncio.wait_for(heard.get(), 5) for _ in range(3)] == [record.key_id] * 3


async def test_use_is_noted(keys: Keys, tenant_id: UUID) -> None:
    used, _ = await keys.create(NewKey(tenant_id, "used", [], "root"))
    idle, _ = await keys.create(NewKey(tenant_id, "idle", [], "root"))
    await keys.note_use([used.key_id])
    noted = {record.name: record.last_use_time for record in await keys.list(tenant_id, Page())}
    assert noted["used"] is not None
    assert noted["idle"] is None
    assert idle.last_use_time is None


async def test_pages_hold_every_key_once(keys: Keys, tenant_id: UUID) -> None:
    created = [(await keys.create(NewKey(tenant_id, f"key {n}", [], "root")))[0].key_id for n in range(5)]
    listed: list[str] = []
    page = Page(size=2)
    while rows := await keys.list(tenant_id, page):
        listed += [row.key_id for row in rows]
        page = Page(2, rows[-1].create_time, rows[-1].key_id)
    assert listed == created


async def test_who_starts_at_the_same_time_waits_for_longer_than_for_other_locks(postgres_url: str) -> None:
    opened = await Database.open(DatabaseSettings(postgres_url))
    keys = Keys(opened, PEPPER)
    waits = """
        SELECT true FROM pg_stat_activity
        WHERE wait_event = 'advisory' AND clock_timestamp() - query_start > make_interval(secs => $1)
        """

    async def come_second() -> None:
        async with keys.one_at_a_time():
            pass

    async with keys.one_at_a_time():
        second = asyncio.create_task(come_second())
        await until(lambda: second.done() or opened.fetchval(waits, 2 * LOCK_TIMEOUT_S))
    await second
    await opened.close()
