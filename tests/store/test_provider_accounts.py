"""Tenants' own accounts, as stored: sealed, one default, every change in the audit."""

from __future__ import annotations

import asyncio
from uuid import UUID

import asyncpg
import pytest

from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.ids import new_uuid
from trunkline_server.core.sealing import KeyRing, SealBroken, new_key
from trunkline_server.store.database import Database
from trunkline_server.store.page import Page
from trunkline_server.store.provider_accounts import CHANNEL, Actor, ProviderAccounts
from trunkline_server.store.tenant_keys import TenantKeys
from trunkline_server.store.tenants import Tenants

KEY = "sk-canary-of-acme"
RING = KeyRing.of({1: new_key()}, b"installation")


@pytest.fixture
def accounts(database: Database) -> ProviderAccounts:
    return ProviderAccounts(database, TenantKeys(database, RING))


@pytest.fixture
async def actor(database: Database) -> Actor:
    return Actor((await Tenants(database).create("acme")).tenant_id, "key of joe", "req_1")


async def add(accounts: ProviderAccounts, actor: Actor, name: str, *, make_default: bool = False) -> UUID:
    return (await accounts.create(actor, "openai", name, f"{KEY}-{name}", make_default=make_default)).account_id


async def default(accounts: ProviderAccounts, actor: Actor) -> list[str]:
    return [each.name for each in await accounts.list(actor.tenant_id, Page()) if each.is_default]


async def test_a_key_comes_back_only_to_be_sent(accounts: ProviderAccounts, actor: Actor, database: Database) -> None:
    account_id = await add(accounts, actor, "main")
    assert await accounts.api_key(actor.tenant_id, account_id) == f"{KEY}-main"
    rows = await database.fetchval("SELECT string_agg(a::text || k::text, ' ') FROM provider_account a, tenant_key k")
    assert KEY not in rows
    assert KEY.encode().hex() not in rows
    found = await accounts.get(actor.tenant_id, account_id)
    assert KEY not in repr(found)
    assert (found.provider, found.name, found.is_default, found.rotate_time) == ("openai", "main", True, None)


async def test_rotation_replaces_the_key(accounts: ProviderAccounts, actor: Actor) -> None:
    account_id = await add(accounts, actor, "main")
    assert (await accounts.rotate(actor, account_id, "sk-new")).rotate_time is not None
    assert await accounts.api_key(actor.tenant_id, account_id) == "sk-new"


async def test_the_first_is_the_default_and_then_the_one_that_is_chosen(
    accounts: ProviderAccounts, actor: Actor
) -> None:
    first, second = await add(accounts, actor, "first"), await add(accounts, actor, "second")
    assert await default(accounts, actor) == ["first"]
    await accounts.set_default(actor, second)
    assert await default(accounts, actor) == ["second"]
    third = await add(accounts, actor, "third", make_default=True)
    assert await default(accounts, actor) == ["third"]
    await accounts.delete(actor, third)
    assert await default(accounts, actor) == ["first"]
    await accounts.delete(actor, second)
    await accounts.delete(actor, first)
    assert await accounts.defaults() == []


async def test_many_at_once_agree_on_one_default(accounts: ProviderAccounts, actor: Actor) -> None:
    await asyncio.gather(*(add(accounts, actor, f"a{n}", make_default=n % 2 == 0) for n in range(8)))
    assert len(await default(accounts, actor)) == 1
    [(tenant_id, provider, _)] = await accounts.defaults()
    assert (tenant_id, provider) == (actor.tenant_id, "openai")


async def test_a_name_is_taken_once_for_each_provider(accounts: ProviderAccounts, actor: Actor) -> None:
    await add(accounts, actor, "main")
    with pytest.raises(TrunklineError) as caught:
        await add(accounts, actor, "main", make_default=True)
    assert caught.value.reason is Reason.RESOURCE_EXISTS
    assert await default(accounts, actor) == ["main"]
    await accounts.create(actor, "gemini", "main", KEY, make_default=False)
    assert len(await accounts.defaults()) == 2


async def test_another_tenant_can_do_nothing(database: Database, accounts: ProviderAccounts, actor: Actor) -> None:
    account_id = await add(accounts, actor, "main")
    other = Actor((await Tenants(database).create("other")).tenant_id, "joe", "req_2")
    for change in (
        accounts.get(other.tenant_id, account_id),
        accounts.rotate(other, account_id, "sk"),
        accounts.set_default(other, account_id),
        accounts.delete(other, account_id),
        accounts.api_key(other.tenant_id, account_id),
    ):
        with pytest.raises(TrunklineError) as caught:
            await change
        assert caught.value.reason is Reason.RESOURCE_NOT_FOUND
    assert await accounts.list(other.tenant_id, Page()) == []


async def test_a_row_that_was_moved_does_not_open(database: Database, accounts: ProviderAccounts, actor: Actor) -> None:
    one, two = await add(accounts, actor, "one"), await add(accounts, actor, "two")
    await database.execute(
        "UPDATE provider_account SET api_key = (SELECT api_key FROM provider_account WHERE account_id = $1)"
        " WHERE account_id = $2",
        one,
        two,
    )
    with pytest.raises(SealBroken):
        await accounts.api_key(actor.tenant_id, two)


async def test_everything_is_in_the_audit_which_stands(
    database: Database, accounts: ProviderAccounts, actor: Actor
) -> None:
    account_id = await add(accounts, actor, "main")
    await accounts.rotate(actor, account_id, "sk-new")
    await accounts.set_default(actor, account_id)
    await accounts.note_use(actor, account_id)
    await accounts.delete(actor, account_id)
    rows = await database.fetch("SELECT * FROM provider_account_audit ORDER BY audit_id")
    assert [row["action"] for row in rows] == ["create", "rotate", "set_default", "use", "delete"]
    assert {(row["tenant_id"], row["account_id"], row["principal"], row["request_id"]) for row in rows} == {
        (actor.tenant_id, account_id, "key of joe", "req_1")
    }
    for change in ("UPDATE provider_account_audit SET principal = ''", "DELETE FROM provider_account_audit"):
        with pytest.raises(asyncpg.RestrictViolationError):
            await database.execute(change)


async def test_changes_are_announced_and_uses_are_not(
    database: Database, accounts: ProviderAccounts, actor: Actor
) -> None:
    heard: asyncio.Queue[str | None] = asyncio.Queue()
    await database.listen(CHANNEL, heard.put_nowait)
    account_id = await add(accounts, actor, "main")
    await accounts.note_use(actor, account_id)
    await accounts.rotate(actor, account_id, "sk-new")
    await accounts.delete(actor, account_id)
    assert [await asyncio.wait_for(heard.get(), 5) for _ in range(3)] == [str(account_id)] * 3
    assert heard.empty()


async def test_pages_hold_every_account_once(accounts: ProviderAccounts, actor: Actor) -> None:
    made = [await add(accounts, actor, f"a{n}") for n in range(5)]
    listed: list[UUID] = []
    page = Page(2)
    while rows := await accounts.list(actor.tenant_id, page):
        listed += [row.account_id for row in rows]
        page = Page(2, rows[-1].create_time, rows[-1].account_id.hex)
    assert listed == made


class TestKeyOfKeys:
    async def test_rotation_wraps_anew_and_touches_no_secret(
        self, database: Database, accounts: ProviderAccounts, actor: Actor
    ) -> None:
        account_id = await add(accounts, actor, "main")
        sealed = await database.fetchval("SELECT api_key FROM provider_account")
        grown = KeyRing.of({1: RING.keys[1], 2: new_key()}, b"installation")
        assert await TenantKeys(database, grown).rewrap() == 1
        assert await TenantKeys(database, grown).rewrap() == 0
        assert await database.fetchval("SELECT api_key FROM provider_account") == sealed
        alone = TenantKeys(database, KeyRing.of({2: grown.keys[2]}, b"installation"))
        assert await alone.check() == []
        assert await ProviderAccounts(database, alone).api_key(actor.tenant_id, account_id) == f"{KEY}-main"
        with pytest.raises(SealBroken):
            await accounts.api_key(actor.tenant_id, account_id)

    async def test_a_ring_that_lacks_a_key_says_which(
        self, database: Database, accounts: ProviderAccounts, actor: Actor
    ) -> None:
        await add(accounts, actor, "main")
        wrong = TenantKeys(database, KeyRing.of({1: new_key(), 2: new_key()}, b"installation"))
        assert await wrong.check() == [1]
        with pytest.raises(SealBroken):
            await wrong.rewrap()

    async def test_those_who_ask_first_at_once_get_one_key(self, database: Database, actor: Actor) -> None:
        keys = TenantKeys(database, RING)
        assert (
            len({(await each).key for each in [asyncio.create_task(keys.newest(actor.tenant_id)) for _ in range(5)]})
            == 1
        )

    async def test_a_key_needs_a_tenant(self, database: Database) -> None:
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await TenantKeys(database, RING).newest(new_uuid())
