"""However much has piled up, each step is small enough for the time of a statement, and nobody's turn never comes."""

from __future__ import annotations

from typing import Final
from uuid import UUID

import pytest

from trunkline_server.core.sealing import KeyRing, new_key
from trunkline_server.store import webhook_deliveries
from trunkline_server.store.budgets import WINDOWS_KEPT, Budgets
from trunkline_server.store.database import Database
from trunkline_server.store.tenant_keys import TenantKeys
from trunkline_server.store.tenants import Tenants
from trunkline_server.store.webhook_deliveries import WebhookDeliveries
from trunkline_server.store.webhook_endpoints import Endpoint, Wanted, WebhookEndpoints

GIVEN_UP_AT_ONCE: Final = 2000
WAITING: Final = GIVEN_UP_AT_ONCE + 500


@pytest.fixture
async def tenant_id(database: Database) -> UUID:
    return (await Tenants(database).create("acme")).tenant_id


@pytest.fixture
def endpoints(database: Database) -> WebhookEndpoints:
    return WebhookEndpoints(database, TenantKeys(database, KeyRing({0: new_key()})))


@pytest.fixture
def deliveries(database: Database, endpoints: WebhookEndpoints) -> WebhookDeliveries:
    return WebhookDeliveries(database, endpoints)


@pytest.fixture
async def endpoint(endpoints: WebhookEndpoints, tenant_id: UUID) -> Endpoint:
    made, _ = await endpoints.create(tenant_id, "https://a.example", "", (), for_callbacks=False, with_key_pair=False)
    return made


async def pile_up(database: Database, tenant_id: UUID, endpoint: Endpoint, count: int) -> None:
    await database.execute(
        """
        INSERT INTO webhook_delivery (tenant_id, endpoint_id, event_id, type, body)
        SELECT $1, $2, gen_random_uuid(), 'JobStateChanged', '{}' FROM generate_series(1, $3)
        """,
        tenant_id,
        endpoint.endpoint_id,
        count,
    )


async def in_state(database: Database, state: str) -> int:
    return int(await database.fetchval("SELECT count(*) FROM webhook_delivery WHERE state = $1", state))


async def test_an_endpoint_with_a_long_queue_is_disabled_and_its_queue_given_up_in_parts(
    database: Database, tenant_id: UUID, endpoints: WebhookEndpoints, deliveries: WebhookDeliveries, endpoint: Endpoint
) -> None:
    await pile_up(database, tenant_id, endpoint, WAITING)
    await endpoints.update(tenant_id, endpoint.endpoint_id, Wanted(enabled=False))
    assert await in_state(database, "failed") == GIVEN_UP_AT_ONCE
    assert not await deliveries.claim(10, 10, 30.0)
    assert [await endpoints.give_up() for _ in range(2)] == [WAITING - GIVEN_UP_AT_ONCE, 0]
    assert await in_state(database, "failed") == WAITING


async def test_one_that_is_enabled_again_gets_nothing_of_its_old_queue(
    database: Database, tenant_id: UUID, endpoints: WebhookEndpoints, deliveries: WebhookDeliveries, endpoint: Endpoint
) -> None:
    await pile_up(database, tenant_id, endpoint, WAITING)
    await endpoints.update(tenant_id, endpoint.endpoint_id, Wanted(enabled=False))
    assert (await endpoints.update(tenant_id, endpoint.endpoint_id, Wanted(enabled=True))).enabled
    assert not await deliveries.claim(10, 10, 30.0)


async def test_all_that_failed_is_sent_again_in_parts(
    database: Database,
    tenant_id: UUID,
    deliveries: WebhookDeliveries,
    endpoint: Endpoint,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhook_deliveries, "PART_ROWS", 2)
    await pile_up(database, tenant_id, endpoint, 5)
    await database.execute("UPDATE webhook_delivery SET state = 'failed', end_time = now()")
    assert await deliveries.failed_again(tenant_id, endpoint.endpoint_id, None) == 5
    assert await in_state(database, "waiting") == 5


async def open_batches(database: Database, tenant_id: UUID, count: int, item_count: int) -> None:
    await database.execute(
        """
        INSERT INTO batch (id, tenant_id, user_id, name, mode, stop_on_error, item_count, fingerprint, labels)
        SELECT gen_random_uuid(), $1, '', '', '', false, $3, '', '{}' FROM generate_series(1, $2)
        """,
        tenant_id,
        count,
        item_count,
    )


async def test_every_open_batch_is_told_of_however_many_there_are(database: Database, tenant_id: UUID) -> None:
    await open_batches(database, tenant_id, 150, 1)
    for _ in range(100):
        await database.execute("SELECT batch_tell()")
    assert await database.fetchval("SELECT count(*) FROM batch WHERE told_count = 0") == 150


async def test_few_batches_are_counted_at_once_where_they_are_large(database: Database, tenant_id: UUID) -> None:
    await open_batches(database, tenant_id, 30, 10_000)
    await database.execute("SELECT batch_tell()")
    assert await database.fetchval("SELECT count(*) FROM batch WHERE told_count = 0") == 2


async def test_what_failed_carriers_left_is_ended_in_parts(database: Database, tenant_id: UUID) -> None:
    await open_batches(database, tenant_id, 3, 4)
    await database.execute("UPDATE batch SET carrier = gen_random_uuid()")
    job = """
        INSERT INTO job (id, tenant_id, user_id, account, key_id, allowed_models, queue, kind, provider, model, lane,
                         priority, spec, stream, state, run_at, max_attempts, timeout_s, hold_id, hold_account,
                         batch_id, item_index, fingerprint, labels, expires_at, leased_until, ended_at)
        """
    rest = "'', 0, '', false, {}, now(), 1, 1, gen_random_uuid(), gen_random_uuid(), {}, '', '{{}}', 'infinity', {}"
    running = rest.format("'running'", "id, n", "'infinity', NULL")
    failed = rest.format("'failed'", "NULL, NULL", "NULL, now()")
    who = "tenant_id, '', '', '', '{}'::text[], 'q', 'chat', 'p', 'm',"
    await database.execute(f"{job} SELECT gen_random_uuid(), {who} {running} FROM batch, generate_series(1, 4) AS n")
    await database.execute(f"{job} SELECT carrier, {who} {failed} FROM batch")
    left = []
    for _ in range(3):
        await database.execute("SELECT bulk_sweep(5)")
        left.append(await database.fetchval("SELECT count(*) FROM job WHERE state = 'running'"))
    assert left == [7, 2, 0]


async def test_windows_of_budgets_are_forgotten_with_what_was_noted_of_them(
    database: Database, tenant_id: UUID
) -> None:
    await database.execute(
        """
        INSERT INTO budget (tenant_id, name, user_id, key_id, provider, model, team, period, time_zone, unit, amount,
                            hard, thresholds, spike_percent, set_by)
        VALUES ($1, 'hourly', '*', '', '', '', '', 'hour', 'UTC', 'USD', 1, false, '{}', 0, ''),
               ($1, 'daily', '*', '', '', '', '', 'day', 'UTC', 'USD', 1, false, '{}', 0, '')
        """,
        tenant_id,
    )
    await database.execute(
        """
        WITH made AS (
            INSERT INTO budget_window SELECT id, ARRAY['ann'], at, at, 1
            FROM budget, unnest(ARRAY[now(), now() - $1 * interval '61 min']) AS at RETURNING *)
        INSERT INTO budget_alert SELECT budget_id, subject, start_time, 'threshold', 50, 1 FROM made
        """,
        WINDOWS_KEPT,
    )
    budgets = Budgets(database)
    assert [await budgets.forget() for _ in range(2)] == [1, 0]
    assert await database.fetchval("SELECT count(*) FROM budget_alert") == 3
