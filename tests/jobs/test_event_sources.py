"""Events of calls, money, keys, models and breakers, each from where it happens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.fixtures.fleet import Fleet
from tests.fixtures.gateway import RunningGateway, question
from tests.fixtures.purse import Purse, amount
from tests.fixtures.until import until
from trunkline.v1 import admin_pb2, chat_pb2, events_pb2, limits_pb2
from trunkline_server.core.event import OF_CALLS
from trunkline_server.core.model import ModelEntry
from trunkline_server.store.offers import Offers
from trunkline_server.store.reconciliation import Finding, tell

CREDIT = 10**9


async def ask(gateway: RunningGateway, user: str = "") -> chat_pb2.Completion:
    request = chat_pb2.CompleteRequest(input=question("hello"))
    return (await gateway.chat.Complete(request, metadata=gateway.metadata(user))).completion


async def subscribe(gateway: RunningGateway, *types: str) -> AsyncIterator[events_pb2.Event]:
    """What happens from now on."""
    request = events_pb2.SubscribeRequest(types=types)
    told = aiter(gateway.events.Subscribe(request, metadata=gateway.metadata(), timeout=30))
    await anext(told)
    return (each.event async for each in told if each.HasField("event"))


async def types_told(gateway: RunningGateway) -> list[str]:
    return [row[0] for row in await gateway.house.background.database.fetch("SELECT type FROM event ORDER BY number")]


async def test_calls_write_events_only_where_somebody_wants_them(gateway: RunningGateway) -> None:
    await ask(gateway)
    assert not OF_CALLS.intersection(await types_told(gateway))
    heard = await subscribe(gateway, "CostCalculated", "ResponseGenerated")
    completion = await ask(gateway)
    told = {event.type: event for event in [await anext(heard), await anext(heard)]}
    answered, cost = told["ResponseGenerated"].response_generated, told["CostCalculated"].cost_calculated
    assert answered.completion_id == cost.completion_id == completion.completion_id
    assert (answered.operation, answered.provider, answered.model) == ("chat", "sandbox", "echo")
    assert (answered.outcome, answered.finish_reason) == ("OUTCOME_COMPLETED", "FINISH_REASON_STOP")
    assert (cost.cost, cost.charge) == (completion.cost, completion.charge)
    assert (cost.input_tokens, cost.output_tokens) == (completion.usage.input_tokens, completion.usage.output_tokens)


async def test_a_call_that_moves_and_one_that_fails(fleet: Fleet) -> None:
    heard = await subscribe(fleet.gateway, "FailoverTriggered", "ProviderSwitched", "RequestFailed")
    fleet.ships[0].down()
    completion = await fleet.complete()
    moved, switched = await anext(heard), await anext(heard)
    assert moved.failover_triggered.completion_id == completion.completion_id
    assert moved.failover_triggered.to_model == f"{completion.provider}/{completion.model}"
    assert (switched.provider_switched.from_provider, switched.provider_switched.to_provider) == ("openai", "anthropic")
    for ship in fleet.ships[1:]:
        ship.down()
    await fleet.failed()
    types = [(await anext(heard)).type for _ in range(3)]
    assert sorted(types) == ["FailoverTriggered", "ProviderSwitched", "RequestFailed"]


async def test_an_account_that_falls_below_its_mark_is_told_of_once(gateway: RunningGateway) -> None:
    heard, purse = await subscribe(gateway, "CreditsLow"), Purse(gateway, "ada")
    start = (await purse.grant(10 * CREDIT)).balance.nanos
    await purse.update(low_balance=amount(start - 4 * CREDIT))
    for nanos in (4 * CREDIT, 2 * CREDIT, 1 * CREDIT):
        await purse.settle((await purse.reserve(nanos)).reservation_id, nanos)
    told = (await anext(heard)).credits_low
    left, mark = amount(start - 6 * CREDIT), amount(start - 4 * CREDIT)
    assert (told.user_id, told.balance, told.low_balance) == ("ada", left, mark)
    assert told.account_id == (await purse.balance()).account_id
    assert (await types_told(gateway)).count("CreditsLow") == 1


async def test_credits_that_come_to_their_end(gateway: RunningGateway) -> None:
    heard, purse = await subscribe(gateway, "CreditsExpired"), Purse(gateway, "ada")
    balance = (await purse.grant(CREDIT, expire_time=datetime.now(UTC) + timedelta(hours=1))).balance.nanos
    database = gateway.house.background.database
    await database.execute("UPDATE credit SET expires_at = clock_timestamp() - interval '1 s'")
    await database.execute("SELECT ledger_lapse_due(10)")
    told = (await anext(heard)).credits_expired
    assert (told.user_id, told.amount, told.balance) == ("ada", amount(CREDIT), amount(balance - CREDIT))


async def test_a_budget_that_comes_to_its_threshold(gateway: RunningGateway) -> None:
    heard = await subscribe(gateway, "BudgetThresholdReached")
    budget = limits_pb2.Budget(name="it", period=limits_pb2.BUDGET_PERIOD_DAY, amount=amount(1), thresholds=[50, 100])
    await gateway.limits.SetBudget(limits_pb2.SetBudgetRequest(budget=budget), metadata=gateway.metadata())
    completion = await ask(gateway)
    told = [(await anext(heard)).budget_threshold_reached for _ in range(2)]
    assert sorted(each.percent for each in told) == [50, 100]
    assert {(each.budget, each.kind, each.amount.nanos) for each in told} == {("it", "threshold", 1)}
    assert told[0].spent == completion.charge
    assert told[0].start_time.ToDatetime().hour == 0


async def test_keys_that_are_made_changed_and_taken_back(gateway: RunningGateway) -> None:
    heard, metadata = await subscribe(gateway, "ApiKeyCreated", "ApiKeyRotated", "ApiKeyRevoked"), gateway.metadata()
    ask_for = admin_pb2.CreateApiKeyRequest(name="ci", scopes=["chat:write"])
    made = await gateway.admin.CreateApiKey(ask_for, metadata=metadata)
    key_id = made.api_key.key_id
    await gateway.admin.RotateApiKey(admin_pb2.RotateApiKeyRequest(key_id=key_id), metadata=metadata)
    for _ in range(2):
        await gateway.admin.RevokeApiKey(admin_pb2.RevokeApiKeyRequest(key_id=key_id), metadata=metadata)
    created, rotated, revoked = [await anext(heard) for _ in range(3)]
    assert (created.api_key_created.key_id, created.api_key_created.name) == (key_id, "ci")
    assert rotated.api_key_rotated.old_secret_expire_time.seconds > 0
    assert revoked.api_key_revoked.key_id == key_id
    assert (await types_told(gateway)).count("ApiKeyRevoked") == 1
    stored = await gateway.house.background.database.fetch("SELECT body::text FROM event")
    assert made.secret not in str(stored)


async def test_a_list_of_models_that_changed_is_told_to_all(gateway: RunningGateway) -> None:
    heard, offers = await subscribe(gateway, "ModelSynced"), Offers(gateway.house.background.database)
    models = [ModelEntry("openai", name, "", None, 0, 0) for name in ("a", "b")]
    await offers.note("openai", models)
    await offers.note("openai", models)
    await offers.note("openai", models[:1])
    first, second = [(await anext(heard)).model_synced for _ in range(2)]
    assert (first.provider, first.model_count, first.added_count) == ("openai", 2, 2)
    assert (second.model_count, second.gone_count) == (1, 1)


async def test_a_breaker_that_opens_and_closes(gateway: RunningGateway) -> None:
    heard, lines = (
        await subscribe(gateway, "BreakerOpened", "BreakerClosed"),
        gateway.house.gateway.admission.routes.lines,
    )
    gate = lines.line("sandbox", "echo").gate
    gate.trip(gate.generation)
    gate.trip(gate.generation)
    gate.reset()
    assert (await anext(heard)).breaker_opened.name == "sandbox/echo"
    assert (await anext(heard)).breaker_closed.name == "sandbox/echo"


async def test_a_breaker_of_a_tenants_own_account_is_told_to_that_tenant_alone(gateway: RunningGateway) -> None:
    database = gateway.house.background.database
    tenant_id = await database.fetchval("SELECT tenant_id FROM tenant")
    gate = gateway.house.gateway.admission.routes.lines.own_trunk("sandbox", tenant_id).key_gate
    gate.trip(gate.generation)
    row = "SELECT tenant_id, body ->> 'name' AS name FROM event WHERE type = 'BreakerOpened'"
    await until(lambda: database.fetchrow(row))
    assert tuple(await database.fetchrow(row) or ()) == (tenant_id, "sandbox")


async def test_books_that_do_not_add_up_are_told_to_whom_they_belong(gateway: RunningGateway) -> None:
    heard, purse = await subscribe(gateway, "LedgerAuditFailed"), Purse(gateway, "ada")
    await purse.grant(CREDIT)
    database = gateway.house.background.database
    account = str(await database.fetchval("SELECT id FROM account WHERE owner_id = 'ada'"))
    for _ in range(2):
        await tell(database, [Finding("posted", account, ""), Finding("posted", "nobody", "")])
    told = (await anext(heard)).ledger_audit_failed
    assert (told.rule, told.subject) == ("posted", account)
    assert (await types_told(gateway)).count("LedgerAuditFailed") == 1


@pytest.mark.parametrize("types", [[], ["CostCalculated"]])
async def test_a_wish_outlives_its_reader_for_a_while_and_is_forgotten_then(
    gateway: RunningGateway, types: list[str]
) -> None:
    await subscribe(gateway, *types)
    background = gateway.house.background
    wished = {row[0] for row in await background.database.fetch("SELECT type FROM event_wish")}
    assert wished == (set(types) or OF_CALLS)
    await background.wishes.purge()
    assert await background.database.fetchval("SELECT count(*) FROM event_wish") == len(wished)
    await background.database.execute("UPDATE event_wish SET until = clock_timestamp()")
    await background.wishes.purge()
    assert await background.database.fetchval("SELECT count(*) FROM event_wish") == 0
