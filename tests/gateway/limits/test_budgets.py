"""Budgets as callers meet them, and what the database notes of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from tests.fixtures.gateway import RunningGateway, StartGateway, detail_of, question, reason_of
from trunkline.v1 import chat_pb2, credits_pb2, limits_pb2, usage_pb2
from trunkline_server.core import money
from trunkline_server.store.database import Database, DatabaseSettings

MONTH, DAY = limits_pb2.BUDGET_PERIOD_MONTH, limits_pb2.BUDGET_PERIOD_DAY
OUTPUT_TOKENS_MAX = 10


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    opened = await Database.open(DatabaseSettings(postgres_url, command_timeout_s=10, acquire_timeout_s=5))
    yield opened
    await opened.close()


async def set_budget(gateway: RunningGateway, amount: usage_pb2.Amount, **fields: Any) -> limits_pb2.Budget:
    fields = {"name": "it", "period": MONTH, "hard": True, **fields}
    request = limits_pb2.SetBudgetRequest(budget=limits_pb2.Budget(amount=amount, **fields))
    return (await gateway.limits.SetBudget(request, metadata=gateway.metadata())).budget


async def windows(gateway: RunningGateway) -> list[limits_pb2.BudgetWindow]:
    answer = await gateway.limits.ListBudgets(limits_pb2.ListBudgetsRequest(), metadata=gateway.metadata())
    return list(answer.windows)


def asked(**fields: Any) -> chat_pb2.ChatInput:
    input = question("Hello", **fields)
    input.sampling.max_output_tokens = OUTPUT_TOKENS_MAX
    return input


async def ask(gateway: RunningGateway, user: str = "ann", **fields: Any) -> chat_pb2.Completion:
    request = chat_pb2.CompleteRequest(input=asked(**fields))
    return (await gateway.chat.Complete(request, metadata=gateway.metadata(user))).completion


async def refused(gateway: RunningGateway, user: str = "ann", **fields: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await ask(gateway, user, **fields)
    return error.value


async def most_nanos(gateway: RunningGateway) -> int:
    """The most that such a call can cost."""
    quote = await gateway.chat.Quote(chat_pb2.QuoteRequest(input=asked()), metadata=gateway.metadata("ann"))
    return int(quote.most.nanos)


async def test_a_call_that_could_spend_too_much_is_refused_until_the_window_ends(gateway: RunningGateway) -> None:
    most = await most_nanos(gateway)
    await set_budget(gateway, money.credits(most))
    charge = (await ask(gateway)).charge.nanos

    error = await refused(gateway)

    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert reason_of(error) == "BUDGET_EXCEEDED"
    [violation] = detail_of(error, error_details_pb2.QuotaFailure).violations
    left = f"needed {money.to_decimal_text(most)}, available {money.to_decimal_text(most - charge)} CREDIT"
    assert (violation.subject, violation.description) == ("budget:it", left)
    [window] = await windows(gateway)
    opens = detail_of(error, error_details_pb2.RetryInfo).retry_delay.ToTimedelta()
    assert abs(datetime.now(UTC) + opens - window.end_time.ToDatetime(UTC)) < timedelta(seconds=30)


async def test_callers_at_once_never_spend_more_than_there_is(start_gateway: StartGateway) -> None:
    gateways = [await start_gateway(), await start_gateway()]
    amount = 5 * await most_nanos(gateways[0])
    await set_budget(gateways[0], money.credits(amount))
    await gateways[1].house.gateway.admission.limiter.book.refresh()

    tries = await asyncio.gather(
        *(ask(gateways[number % 2], f"user{number}") for number in range(30)), return_exceptions=True
    )

    done = [each for each in tries if isinstance(each, chat_pb2.Completion)]
    assert {reason_of(each) for each in tries if isinstance(each, grpc.aio.AioRpcError)} == {"BUDGET_EXCEEDED"}
    [window] = await windows(gateways[0])
    assert window.spent.nanos == sum(each.charge.nanos for each in done) <= amount
    assert window.held.nanos == 0
    assert window.remaining.nanos == amount - window.spent.nanos


async def test_spend_is_what_the_usage_rows_say(gateway: RunningGateway, database: Database) -> None:
    await set_budget(gateway, money.usd(money.NANOS), hard=False)
    for _ in range(3):
        await ask(gateway)

    [window] = await windows(gateway)

    assert window.spent.unit == "USD"
    assert window.spent.nanos == await database.fetchval("SELECT sum(cost_nano_usd) FROM usage") > 0


async def test_a_new_budget_begins_with_what_was_spent_already(gateway: RunningGateway) -> None:
    charge = (await ask(gateway)).charge.nanos

    await set_budget(gateway, money.credits(money.NANOS))

    assert [window.spent.nanos for window in await windows(gateway)] == [charge]


async def test_a_soft_budget_refuses_nothing(gateway: RunningGateway) -> None:
    await set_budget(gateway, money.credits(1), hard=False)

    await ask(gateway)

    [window] = await windows(gateway)
    assert window.remaining.nanos < 0
    assert list(window.thresholds_passed) == [50, 80, 100]


async def test_each_threshold_is_noted_once(gateway: RunningGateway, database: Database) -> None:
    charge = (await ask(gateway)).charge.nanos
    await set_budget(gateway, money.credits(charge * 4), hard=False, thresholds=[50, 100])

    noted = []
    for _ in range(5):
        await ask(gateway)
        noted.append(await database.fetchval("SELECT array_agg(percent ORDER BY percent) FROM budget_alert"))

    assert noted == [[50], [50], [50, 100], [50, 100], [50, 100]]


async def test_each_user_has_a_budget_of_their_own(gateway: RunningGateway) -> None:
    amount = money.credits(await most_nanos(gateway))
    await set_budget(gateway, amount, selector=limits_pb2.LimitSelector(user_id="*"))
    await ask(gateway, "ann")

    assert reason_of(await refused(gateway, "ann")) == "BUDGET_EXCEEDED"
    await ask(gateway, "bob")

    assert {window.subject.user_id for window in await windows(gateway)} == {"ann", "bob"}


async def test_a_teams_budget_counts_its_label(gateway: RunningGateway) -> None:
    amount = money.credits(await most_nanos(gateway))
    await set_budget(gateway, amount, selector=limits_pb2.LimitSelector(team="red"))
    await ask(gateway, labels={"team": "red"})

    assert reason_of(await refused(gateway, "bob", labels={"team": "red"})) == "BUDGET_EXCEEDED"
    await ask(gateway, labels={"team": "blue"})
    await ask(gateway)


async def test_a_call_refused_for_its_credits_holds_nothing(gateway: RunningGateway, database: Database) -> None:
    await set_budget(gateway, money.credits(money.NANOS))
    account = credits_pb2.GetBalanceRequest(user_id="ann")
    found = (await gateway.credits.GetBalance(account, metadata=gateway.metadata())).account
    suspend = credits_pb2.UpdateAccountRequest(account_id=found.account_id, suspended=True)
    await gateway.credits.UpdateAccount(suspend, metadata=gateway.metadata())

    assert reason_of(await refused(gateway)) == "ACCOUNT_SUSPENDED"

    assert await database.fetchval("SELECT count(*) FROM budget_hold") == 0


async def test_much_more_than_usual_is_noted(gateway: RunningGateway, database: Database) -> None:
    charge = (await ask(gateway)).charge.nanos
    await set_budget(gateway, money.credits(money.NANOS), hard=False, period=DAY, spike_percent=300)
    await database.execute(
        "INSERT INTO budget_window SELECT id, ARRAY['', '', '', '', ''], day, day + interval '1 day', $1 FROM budget,"
        " generate_series(1, 4) AS ago, LATERAL budget_start(budget, now() - ago * interval '1 day') AS day",
        charge,
    )

    spiked = []
    for _ in range(4):
        await ask(gateway)
        spiked.append((await windows(gateway))[0].spiked)

    assert spiked == [False, False, True, True]


@pytest.mark.parametrize(
    ("zone", "at", "start", "hours"),
    [
        ("UTC", "2026-03-29T00:30", "2026-03-29T00:00", 24),
        ("Europe/Berlin", "2026-03-29T00:30", "2026-03-28T23:00", 23),
        ("Europe/Berlin", "2026-10-25T00:30", "2026-10-24T22:00", 25),
        ("America/New_York", "2026-11-01T05:30", "2026-11-01T04:00", 25),
        ("Asia/Kathmandu", "2026-03-29T00:30", "2026-03-28T18:15", 24),
    ],
)
async def test_a_day_is_as_long_as_it_is_in_its_zone(
    database: Database, zone: str, at: str, start: str, hours: int
) -> None:
    begins = datetime.fromisoformat(f"{start}+00:00")

    row = await database.fetchrow(
        "SELECT start, budget_end(b, start) FROM jsonb_populate_record(NULL::budget, jsonb_build_object("
        "'period', 'day', 'time_zone', $1::text)) AS b, LATERAL budget_start(b, $2) AS start",
        zone,
        datetime.fromisoformat(f"{at}+00:00"),
    )

    assert tuple(row or ()) == (begins, begins + timedelta(hours=hours))


async def test_budgets_are_listed_as_they_were_set(gateway: RunningGateway) -> None:
    put = [
        await set_budget(gateway, money.credits(5), name="a", time_zone="Europe/Berlin", thresholds=[10]),
        await set_budget(gateway, money.usd(7), name="b", hard=False, selector=limits_pb2.LimitSelector(user_id="*")),
    ]

    answer = await gateway.limits.ListBudgets(limits_pb2.ListBudgetsRequest(), metadata=gateway.metadata())
    assert list(answer.budgets) == put

    await gateway.limits.DeleteBudget(limits_pb2.DeleteBudgetRequest(name="a"), metadata=gateway.metadata())
    answer = await gateway.limits.ListBudgets(limits_pb2.ListBudgetsRequest(), metadata=gateway.metadata())
    assert list(answer.budgets) == put[1:]


async def test_a_quota_tells_of_budgets_too(gateway: RunningGateway) -> None:
    await set_budget(gateway, money.credits(money.NANOS), selector=limits_pb2.LimitSelector(user_id="*"))
    charge = (await ask(gateway, "ann")).charge.nanos
    await ask(gateway, "bob")

    request = limits_pb2.GetQuotaRequest(user_id="ann")
    [window] = (await gateway.limits.GetQuota(request, metadata=gateway.metadata())).budget_windows

    assert (window.subject.user_id, window.spent.nanos) == ("ann", charge)


@pytest.mark.parametrize(
    ("amount", "fields"),
    [
        (money.credits(0), {}),
        (usage_pb2.Amount(unit="EUR", nanos=1), {}),
        (money.credits(1), {"time_zone": "Mars/Olympus"}),
        (money.credits(1), {"thresholds": [0]}),
        (money.credits(1), {"period": limits_pb2.BUDGET_PERIOD_UNSPECIFIED}),
    ],
)
async def test_a_budget_that_makes_no_sense_is_refused(
    gateway: RunningGateway, amount: usage_pb2.Amount, fields: dict[str, Any]
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await set_budget(gateway, amount, **fields)

    assert reason_of(error.value) == "VALIDATION"
