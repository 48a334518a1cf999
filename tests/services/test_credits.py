"""CreditService over a socket: whose account is meant, what is refused, and that money adds up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from tests.fixtures.gateway import RunningGateway
from tests.fixtures.pages import pages
from tests.fixtures.purse import Purse, amount
from tests.fixtures.refusal import Refusal, refusal
from trunkline.v1 import credits_pb2, usage_pb2
from trunkline_server.core.money import INT64_MAX, NANOS

DEFAULT_GRANT = 100 * NANOS


@pytest.fixture
def ada(gateway: RunningGateway) -> Purse:
    return Purse(gateway, "ada")


@pytest.fixture
def tenant(gateway: RunningGateway) -> Purse:
    """Nobody in particular: calls without a user."""
    return Purse(gateway, "")


# Whose account


async def test_a_user_starts_with_the_default_grant(ada: Purse) -> None:
    account = await ada.balance()
    assert (account.user_id, account.provider, account.model) == ("ada", "", "")
    assert account.account_id.startswith("acct_")
    assert account.balance == account.available == amount(DEFAULT_GRANT)
    assert account.held == account.overdraft_limit == amount(0)
    assert (account.unlimited, account.suspended, account.is_low) == (False, False, False)
    assert not account.HasField("low_balance")
    assert account.create_time.seconds > 0


async def test_the_tenants_own_account_is_unlimited(tenant: Purse) -> None:
    account = await tenant.balance()
    assert account.user_id == ""
    assert account.unlimited
    assert not account.HasField("available")


async def test_the_named_user_goes_before_the_callers_own(ada: Purse) -> None:
    assert (await ada.balance(user_id="bob")).user_id == "bob"


async def test_an_account_is_found_by_its_id_in_request_and_metadata(ada: Purse, tenant: Purse) -> None:
    own = await ada.balance()
    assert await tenant.balance(account_id=own.account_id) == own
    metadata = tenant.metadata(x_trunkline_account=own.account_id)
    answer = await tenant.credits.GetBalance(credits_pb2.GetBalanceRequest(), metadata=metadata)
    assert answer.account == own


@pytest.mark.parametrize("account_id", ["acct_" + "0" * 32, "acct_1", "cmpl_" + "0" * 32, "' OR '1'='1"])
async def test_an_account_that_is_not_there(ada: Purse, account_id: str) -> None:
    error = await refusal(ada.balance(account_id=account_id))
    assert error.reason == "RESOURCE_NOT_FOUND"


async def test_a_call_is_charged_to_the_most_exact_account(ada: Purse) -> None:
    shared = await ada.balance()
    for_provider = await ada.grant(5 * NANOS, provider="sandbox")
    for_model = await ada.grant(7 * NANOS, provider="sandbox", model="echo")
    assert for_provider.balance == amount(5 * NANOS)
    assert (for_model.provider, for_model.model) == ("sandbox", "echo")
    assert await ada.balance(provider="sandbox", model="echo") == for_model
    assert await ada.balance(provider="sandbox", model="think") == for_provider
    assert (await ada.balance(provider="openai")).account_id == shared.account_id
    completion = await ada.ask()
    charged = await ada.balance(account_id=for_model.account_id)
    assert charged.balance.nanos == 7 * NANOS - completion.charge.nanos < 7 * NANOS
    assert (await ada.balance()).balance == shared.balance


async def test_a_model_needs_its_provider(ada: Purse) -> None:
    for answer in (ada.balance(model="echo"), ada.grant(1, model="echo"), ada.reserve(1, provider="*", model="echo")):
        error = await refusal(answer)
        assert error.field == "provider"


@pytest.mark.parametrize("field", ["user_id", "provider", "reason"])
async def test_text_that_cannot_be_stored_is_refused(ada: Purse, field: str) -> None:
    error = await refusal(ada.grant(1, **{field: "a\0b"}))
    assert error.field == field


# Grants


async def test_a_grant_happens_once_for_its_request_id(ada: Purse) -> None:
    first = await ada.grant(3 * NANOS, "gift", reason="welcome")
    assert first.balance == amount(DEFAULT_GRANT + 3 * NANOS)
    assert await ada.grant(3 * NANOS, "gift", reason="welcome") == first
    error = await refusal(ada.grant(4 * NANOS, "gift", reason="welcome"))
    assert error.reason == "IDEMPOTENCY_KEY_REUSED"
    assert (await ada.balance()).balance == first.balance


async def test_a_grant_at_once_from_many_sides_happens_once(ada: Purse) -> None:
    answers = await asyncio.gather(*(refusal(ada.grant(NANOS, "gift")) for _ in range(16)))
    assert Refusal("OK") in set(answers) <= {Refusal("OK"), Refusal("ABORTED", "IDEMPOTENCY_IN_PROGRESS")}
    assert (await ada.balance()).balance == amount(DEFAULT_GRANT + NANOS)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (amount(0), "amount.nanos"),
        (amount(-1), "amount.nanos"),
        (amount(1, "USD"), "amount.unit"),
        (amount(1, ""), "amount.unit"),
        (None, "amount"),
    ],
)
async def test_an_amount_that_cannot_be_granted(ada: Purse, given: usage_pb2.Amount | None, field: str) -> None:
    request = credits_pb2.GrantCreditsRequest(amount=given, request_id="gift")
    error = await refusal(ada.credits.GrantCredits(request, metadata=ada.metadata()))
    assert error.code == "INVALID_ARGUMENT"
    assert error.field == field


async def test_a_balance_never_overflows(ada: Purse) -> None:
    error = await refusal(ada.grant(INT64_MAX))
    assert error.code == "FAILED_PRECONDITION"
    assert error.reason == "BALANCE_OVERFLOW"
    assert (await ada.balance()).balance == amount(DEFAULT_GRANT)


async def test_money_needs_a_request_id(ada: Purse) -> None:
    nameless = credits_pb2.GrantCreditsRequest(amount=amount(1))
    error = await refusal(ada.credits.GrantCredits(nameless, metadata=ada.metadata()))
    assert error.reason == "VALIDATION"
    answer = await ada.credits.GrantCredits(nameless, metadata=ada.metadata(idempotency_key="gift"))
    assert answer.account.balance == amount(DEFAULT_GRANT + 1)


# Changes


async def test_what_is_unset_stays_as_it_is(ada: Purse) -> None:
    changed = await ada.update(overdraft_limit=amount(2 * NANOS), low_balance=amount(DEFAULT_GRANT + 1))
    assert changed.overdraft_limit == amount(2 * NANOS)
    assert changed.available == amount(DEFAULT_GRANT + 2 * NANOS)
    assert changed.is_low
    unlimited = await ada.update(unlimited=True)
    assert unlimited.unlimited
    assert not unlimited.HasField("available")
    limited = await ada.update(unlimited=False)
    assert limited == changed == await ada.balance()


async def test_a_suspended_account_takes_no_new_calls(ada: Purse) -> None:
    await ada.update(suspended=True)
    assert (await refusal(ada.ask())).reason == "ACCOUNT_SUSPENDED"
    assert (await refusal(ada.reserve(1))).reason == "ACCOUNT_SUSPENDED"
    await ada.update(suspended=False)
    assert (await ada.ask()).charge.nanos > 0


async def test_only_the_account_that_is_named_is_changed(ada: Purse) -> None:
    await ada.balance()
    error = await refusal(ada.update(provider="sandbox", suspended=True))
    assert error.reason == "RESOURCE_NOT_FOUND"
    assert not (await ada.balance()).suspended
    await ada.grant(1, provider="sandbox")
    assert (await ada.update(provider="sandbox", suspended=True)).provider == "sandbox"
    assert not (await ada.balance()).suspended


async def test_limits_are_credits_and_not_negative(ada: Purse) -> None:
    for field in ("overdraft_limit", "low_balance"):
        for bad, part in ((amount(-1), "nanos"), (amount(1, "USD"), "unit")):
            error = await refusal(ada.update(**{field: bad}))
            assert error.field == f"{field}.{part}"


async def test_the_largest_overdraft_leaves_an_account_that_works(ada: Purse) -> None:
    assert (await ada.update(overdraft_limit=amount(INT64_MAX))).available == amount(INT64_MAX)
    assert (await ada.grant(NANOS)).available == amount(INT64_MAX)
    reservation = await ada.reserve(INT64_MAX)
    account = await ada.balance()
    assert account.available == account.balance == amount(DEFAULT_GRANT + NANOS)
    assert (await ada.settle(reservation.reservation_id, 3 * NANOS)).charge == amount(3 * NANOS)
    assert (await ada.update(overdraft_limit=amount(0))).available == amount(DEFAULT_GRANT - 2 * NANOS)


# Reservations


async def test_a_reservation_is_held_then_settled_once(ada: Purse) -> None:
    held = await ada.reserve(10 * NANOS)
    assert held.state == credits_pb2.RESERVATION_STATE_HELD
    assert held.expire_time.seconds - held.create_time.seconds in (119, 120)
    assert not held.HasField("charge")
    account = await ada.balance()
    assert (account.account_id, account.held) == (held.account_id, amount(10 * NANOS))
    assert account.available == amount(DEFAULT_GRANT - 10 * NANOS)

    settled = await ada.settle(held.reservation_id, 4 * NANOS)
    assert (settled.state, settled.charge) == (credits_pb2.RESERVATION_STATE_SETTLED, amount(4 * NANOS))
    assert await ada.settle(held.reservation_id, 5 * NANOS) == settled == await ada.reservation(held.reservation_id)
    assert (await refusal(ada.release(held.reservation_id))).reason == "RESERVATION_CLOSED"
    account = await ada.balance()
    assert (account.balance, account.held) == (amount(DEFAULT_GRANT - 4 * NANOS), amount(0))


async def test_a_reservation_is_released_once(ada: Purse) -> None:
    held = await ada.reserve(NANOS)
    released = await ada.release(held.reservation_id)
    assert released.state == credits_pb2.RESERVATION_STATE_RELEASED
    assert await ada.release(held.reservation_id) == released
    error = await refusal(ada.settle(held.reservation_id, 1))
    assert error.code == "FAILED_PRECONDITION"
    assert error.reason == "RESERVATION_CLOSED"
    assert (await ada.balance()).available == amount(DEFAULT_GRANT)


async def test_more_than_was_reserved_is_charged_as_overage(ada: Purse) -> None:
    held = await ada.reserve(NANOS)
    assert (await ada.settle(held.reservation_id, 3 * NANOS)).charge == amount(3 * NANOS)
    overage, charge, grant = (await ada.entries()).entries
    assert (overage.kind, overage.amount) == (credits_pb2.LEDGER_ENTRY_KIND_OVERAGE, amount(-2 * NANOS))
    assert (charge.kind, charge.amount) == (credits_pb2.LEDGER_ENTRY_KIND_CHARGE, amount(-NANOS))
    assert overage.subject_id == charge.subject_id == held.reservation_id
    assert (grant.kind, grant.amount) == (credits_pb2.LEDGER_ENTRY_KIND_GRANT, amount(DEFAULT_GRANT))


async def test_an_expired_reservation_is_free_and_can_still_be_charged(ada: Purse, database: Any) -> None:
    held = await ada.reserve(NANOS, ttl=Duration(seconds=1))
    await database.execute("UPDATE hold SET expires_at = clock_timestamp() - interval '1 s'")
    await ada.gateway.house.gateway.admission._ledger.expire_due()
    expired = await ada.release(held.reservation_id)
    assert expired.state == credits_pb2.RESERVATION_STATE_EXPIRED
    late = await ada.settle(held.reservation_id, 2)
    assert (late.state, late.charge) == (credits_pb2.RESERVATION_STATE_EXPIRED, amount(2))
    assert (await ada.entries(page_size=1)).entries[0].kind == credits_pb2.LEDGER_ENTRY_KIND_LATE_CHARGE
    assert (await refusal(ada.release(held.reservation_id))).reason == "RESERVATION_CLOSED"


async def test_nobody_reserves_more_than_there_is(ada: Purse) -> None:
    answers = await asyncio.gather(*(refusal(ada.reserve(10 * NANOS)) for _ in range(24)))
    assert answers.count(Refusal("OK")) == 10
    assert answers.count(Refusal("FAILED_PRECONDITION", "CREDIT_INSUFFICIENT")) == 14


async def test_a_repeated_reserve_is_the_same_reservation(ada: Purse) -> None:
    first = await ada.reserve(NANOS, "job")
    assert await ada.reserve(NANOS, "job") == first
    assert (await refusal(ada.reserve(2 * NANOS, "job"))).reason == "IDEMPOTENCY_KEY_REUSED"
    assert (await ada.balance()).held == amount(NANOS)


@pytest.mark.parametrize("ttl", [Duration(), Duration(seconds=3601), Duration(seconds=-1)])
async def test_a_reservation_lasts_a_second_to_an_hour(ada: Purse, ttl: Duration) -> None:
    error = await refusal(ada.reserve(1, ttl=ttl))
    assert error.field == "ttl"


async def test_what_a_completion_holds_is_no_reservation(ada: Purse) -> None:
    completion = await ada.ask()
    unseen = completion.completion_id.replace("cmpl_", "resv_")
    for answer in (ada.reservation(unseen), ada.settle(unseen, 1), ada.release(unseen)):
        assert (await refusal(answer)).reason == "RESOURCE_NOT_FOUND"
    assert (await ada.entries(page_size=1)).entries[0].subject_id == completion.completion_id


# Lists


async def test_ledger_entries_come_newest_first_in_pages(ada: Purse) -> None:
    for place in range(5):
        await ada.grant(place + 1, reason=f"gift {place}")
    seen, token = [], ""
    for _ in range(3):
        page = await ada.entries(page_size=2, page_token=token)
        seen += [entry.reason for entry in page.entries]
        token = page.next_page_token
    assert seen == ["gift 4", "gift 3", "gift 2", "gift 1", "gift 0", "first credit of a new account"]
    assert token == ""


async def test_a_page_token_is_good_for_its_own_list_only(ada: Purse, gateway: RunningGateway) -> None:
    await ada.grant(1)
    token = (await ada.entries(page_size=1)).next_page_token
    bob = Purse(gateway, "bob")
    wrong = (
        ada.entries(page_token=token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB")),
        ada.entries(page_token=f"{token}=="),
        ada.entries(page_token="é"),
        ada.entries(page_token=token, user_id="bob"),
        bob.entries(page_token=token),
        ada.credits.ListAccounts(credits_pb2.ListAccountsRequest(page_token=token), metadata=ada.metadata()),
    )
    for answer in wrong:
        error = await refusal(answer)
        assert error.code == "INVALID_ARGUMENT"
        assert error.reason == "PAGE_TOKEN_INVALID"
    assert len((await ada.entries(page_token=token, page_size=7)).entries) == 1


async def test_accounts_are_listed_oldest_first_and_by_user(gateway: RunningGateway, tenant: Purse) -> None:
    for user in ("ada", "bob", "cleo"):
        await Purse(gateway, user).balance()
    await tenant.grant(1, user_id="bob", provider="sandbox")
    told = pages(gateway.credits.ListAccounts, credits_pb2.ListAccountsRequest(page_size=3), gateway.metadata())
    seen = [(account.user_id, account.provider) async for page in told for account in page.accounts]
    assert seen == [("ada", ""), ("bob", ""), ("cleo", ""), ("bob", "sandbox")]
    of_bob = credits_pb2.ListAccountsRequest(user_id="bob")
    page = await gateway.credits.ListAccounts(of_bob, metadata=gateway.metadata())
    assert [account.provider for account in page.accounts] == ["", "sandbox"]
