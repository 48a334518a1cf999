"""Tenants, and the one secret of the installation."""

from __future__ import annotations

import asyncio

import pytest

from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.ids import new_uuid
from trunkline_server.store.database import Database
from trunkline_server.store.installation import SECRET_BYTES, installation_secret
from trunkline_server.store.page import Page
from trunkline_server.store.tenants import CHANNEL, Tenants


@pytest.fixture
def tenants(database: Database) -> Tenants:
    return Tenants(database)


async def test_a_tenant_is_found_by_id_and_name(tenants: Tenants) -> None:
    created = await tenants.create("acme")
    assert not created.suspended
    assert await tenants.get(created.tenant_id) == created
    assert await tenants.get_named("acme") == created


async def test_a_name_is_taken_once(tenants: Tenants) -> None:
    await tenants.create("acme")
    with pytest.raises(TrunklineError) as caught:
        await tenants.create("acme")
    assert caught.value.reason is Reason.RESOURCE_EXISTS


async def test_ensuring_at_once_makes_one(tenants: Tenants) -> None:
    ensured = await asyncio.gather(*(tenants.ensure("default") for _ in range(16)))
    assert len({tenant.tenant_id for tenant in ensured}) == 1


async def test_what_is_not_there(tenants: Tenants) -> None:
    for question in (tenants.get(new_uuid()), tenants.get_named("' OR '1'='1"), tenants.suspend(new_uuid())):
        with pytest.raises(TrunklineError) as caught:
            await question
        assert caught.value.reason is Reason.RESOURCE_NOT_FOUND


async def test_suspending_is_announced_and_undone(database: Database, tenants: Tenants) -> None:
    heard: asyncio.Queue[str | None] = asyncio.Queue()
    await database.listen(CHANNEL, heard.put_nowait)
    created = await tenants.create("acme")
    assert (await tenants.suspend(created.tenant_id)).suspended
    assert await asyncio.wait_for(heard.get(), 5) == str(created.tenant_id)
    assert not (await tenants.suspend(created.tenant_id, suspended=False)).suspended


async def test_pages_hold_every_tenant_once(tenants: Tenants) -> None:
    created = [(await tenants.create(name)).tenant_id for name in "abcde"]
    first = await tenants.list(Page(size=3))
    rest = await tenants.list(Page(10, first[-1].create_time, str(first[-1].tenant_id)))
    assert [tenant.tenant_id for tenant in first + rest] == created


async def test_the_installation_has_one_secret_whoever_asks_first(database: Database) -> None:
    secrets = await asyncio.gather(*(installation_secret(database) for _ in range(8)))
    assert len(set(secrets)) == 1
    assert len(secrets[0]) == SECRET_BYTES
    assert await installation_secret(database) == secrets[0]
