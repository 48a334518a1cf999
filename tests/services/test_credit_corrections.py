"""Corrections, refunds and credits with an end, over a socket."""

from __future__ import annotations

import asyncio

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from tests.fixtures.gateway import RunningGateway
from tests.fixtures.purse import Purse, amount
from tests.fixtures.refusal import Refusal, refusal
from trunkline.v1 import credits_pb2
from trunkline_server.core.money import NANOS

DEFAULT_GRANT = 100 * NANOS
REUSED = Refusal("INVALID_ARGUMENT", "IDEMPOTENCY_KEY_REUSED")
INSUFFICIENT = Refusal("FAILED_PRECONDITION", "CREDIT_INSUFFICIENT")
NOT_FOUND = Refusal("NOT_FOUND", "RESOURCE_NOT_FOUND")


@pytest.fixture
def ada(gateway: RunningGateway) -> Purse:
    return Purse(gateway, "ada")


# Corrections and refunds


async def test_a_correction_needs_a_reason_and_counts_once(ada: Purse) -> None:
    await ada.balance()
    for _ in range(2):
        account, entry = await ada.adjust(-30 * NANOS, "billed twice by hand", "fix-1")
    assert account.balance == amount(70 * NANOS)
    assert (entry.kind, entry.amount) == (credits_pb2.LEDGER_ENTRY_KIND_ADJUSTMENT, amount(-30 * NANOS))
    assert entry.reason == "billed twice by hand"
    assert await refusal(ada.adjust(-31 * NANOS, "another", "fix-1")) == REUSED
    assert (await refusal(ada.adjust(1, "", "fix-2"))).field == "reason"
    assert (await refusal(ada.adjust(0, "nothing", "fix-3"))).field == "amount"


async def test_a_correction_may_go_past_the_limit_and_up_again(ada: Purse) -> None:
    await ada.balance()
    account, _ = await ada.adjust(-150 * NANOS, "charge-back", "one")
    assert account.available == amount(-50 * NANOS)
    assert await refusal(ada.reserve(0)) == INSUFFICIENT
    account, _ = await ada.adjust(50 * NANOS, "agreed", "two")
    assert account.balance == amount(0)


async def test_a_completion_is_refunded_in_parts_and_never_more_than_its_charge(ada: Purse) -> None:
    completion = await ada.ask()
    charge = completion.charge.nanos
    _, first = await ada.refund(completion.completion_id, 1)
    account, rest = await ada.refund(completion.completion_id)
    assert (first.amount.nanos, rest.amount.nanos) == (1, charge - 1)
    assert (rest.kind, rest.subject_id) == (credits_pb2.LEDGER_ENTRY_KIND_REFUND, completion.completion_id)
    assert account.balance == amount(DEFAULT_GRANT)
    for nanos in (1, None):
        assert (await refusal(ada.refund(completion.completion_id, nanos))).field == "amount"


async def test_a_reservation_is_refunded_by_its_own_name_only(ada: Purse) -> None:
    reservation = await ada.reserve(10)
    assert (await refusal(ada.refund(reservation.reservation_id))).field == "amount"
    await ada.settle(reservation.reservation_id, 10)
    as_completion = reservation.reservation_id.replace("resv_", "cmpl_")
    for unknown in (as_completion, "cmpl_nothing", "gift"):
        assert await refusal(ada.refund(unknown)) == NOT_FOUND
    _, entry = await ada.refund(reservation.reservation_id)
    assert (entry.amount, entry.subject_id) == (amount(10), reservation.reservation_id)


async def test_refunds_of_everything_at_once_refund_once(ada: Purse) -> None:
    completion = await ada.ask()
    ended = await asyncio.gather(*(refusal(ada.refund(completion.completion_id)) for _ in range(8)))
    assert sorted(each.code for each in ended) == ["INVALID_ARGUMENT"] * 7 + ["OK"]
    assert {each.field for each in ended} == {"", "amount"}
    assert (await ada.balance()).balance == amount(DEFAULT_GRANT)


# Credits with an end


async def test_credits_with_an_end(ada: Purse) -> None:
    end = Timestamp(seconds=2**32)
    assert not (await ada.balance()).HasField("credits_expire_time")
    account = await ada.grant(5, expire_time=end)
    assert account.credits_expire_time == end
    assert (await refusal(ada.grant(5, expire_time=Timestamp(seconds=1)))).field == "expire_time"
    assert (await refusal(ada.grant(5, expire_time=Timestamp(seconds=2**62)))).field == "expire_time"
