"""Which account a call is charged to, and how changes to it become known."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fixtures.ledger import Till, open_till
from tests.fixtures.until import until
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.ids import new_uuid
from trunkline_server.store.accounts import CHANNEL, Accounts, NewAccounts, Owner
from trunkline_server.store.database import Database


@pytest.fixture
async def till(database: Database) -> AsyncIterator[Till]:
    async with open_till(database) as opened:
        yield opened


async def test_the_nearest_account_is_charged(till: Till) -> None:
    accounts = till.ledger.accounts
    everything = await accounts.account_for(till.owner, "openai", "gpt-4o")
    await till.ledger.grant(till.owner, 5, "g1", provider="openai")
    provider = await accounts.account_for(till.owner, "openai", "gpt-4o")
    await till.ledger.grant(till.owner, 5, "g2", provider="openai", model="gpt-4o")
    exact = await accounts.account_for(till.owner, "openai", "gpt-4o")
    assert len({everything.id, provider.id, exact.id}) == 3
    assert await accounts.account_for(till.owner, "openai", "gpt-5") == provider
    assert await accounts.account_for(till.owner, "mistral", "gpt-4o") == everything
    listed = await accounts.list(till.tenant_id, till.owner)
    assert [(each.provider, each.model, each.balance_nanos) for each in listed] == [
        ("*", "*", 1000),
        ("openai", "*", 5),
        ("openai", "gpt-4o", 5),
    ]


async def test_a_tenants_own_account_is_unlimited_where_the_setting_says_so(database: Database, till: Till) -> None:
    owner = Owner.tenant(till.tenant_id)
    assert (await till.ledger.accounts.account_for(owner, "p", "m")).unlimited
    strict = Accounts(database, NewAccounts(1000, tenant_unlimited=False))
    other = await strict.open(Owner.tenant(new_uuid()))
    assert (other.unlimited, other.balance_nanos) == (False, 0)


async def test_a_known_account_is_not_asked_for_again(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await till.ref()
    monkeypatch.setattr(till.ledger.accounts, "_find", None)
    assert await till.ref() is first


async def test_a_change_elsewhere_becomes_known(database: Database, till: Till) -> None:
    here, there = till.ledger.accounts, Accounts(database, NewAccounts(1000))
    await here.follow()
    before = await till.ref()
    await there.update(till.tenant_id, before.id, unlimited=True, low_balance_nanos=7)
    await until(lambda: _is(till, unlimited=True))
    assert (await till.ref()).low_balance_nanos == 7
    nearer = await there.open(till.owner, "sandbox", "echo")
    await until(lambda: _is(till, id=nearer.id))


async def _is(till: Till, **expected: object) -> bool:
    ref = await till.ref()
    return all(getattr(ref, name) == value for name, value in expected.items())


async def test_after_missed_announcements_everything_is_asked_anew(till: Till) -> None:
    first = await till.ref()
    till.ledger.accounts._heard(None)
    assert await till.ref() is not first
    till.ledger.accounts._heard(f"{till.tenant_id}/user/a/b")  # an owner's id may have slashes
    assert CHANNEL == "trunkline_accounts"


async def test_updates_keep_what_is_not_given(till: Till) -> None:
    account_id = (await till.ref()).id
    await till.ledger.accounts.update(till.tenant_id, account_id, overdraft_limit=50, low_balance_nanos=9)
    account = await till.ledger.accounts.update(till.tenant_id, account_id, suspended=True)
    assert (account.overdraft_limit, account.low_balance_nanos, account.suspended) == (50, 9, True)


async def test_another_tenants_account_is_not_found(till: Till) -> None:
    account_id = (await till.ref()).id
    for call in (till.ledger.accounts.get(new_uuid(), account_id), till.ledger.accounts.update(new_uuid(), account_id)):
        with pytest.raises(TrunklineError) as caught:
            await call
        assert caught.value.reason is Reason.RESOURCE_NOT_FOUND


async def test_accounts_come_in_pages(till: Till) -> None:
    for number in range(5):
        await till.ledger.accounts.open(Owner.user(till.tenant_id, f"user{number}"))
    seen, after = [], None
    while page := await till.ledger.accounts.list(till.tenant_id, after=after, limit=2):
        seen += [account.owner_id for account in page]
        after = (page[-1].created_at, page[-1].id)
    assert seen == [f"user{number}" for number in range(5)]
