"""One execution and one answer for each named request, whoever fails in between."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.ids import new_uuid
from trunkline_server.store.database import Database
from trunkline_server.store.idempotency import LEASE_S, Fresh, Idempotency, Replay, Scope

SCOPE = Scope(new_uuid(), "key:abc", "/trunkline.v1.ChatService/Complete", "order-1")
PRINT = b"\x01" * 32
OTHER_PRINT = b"\x02" * 32


@pytest.fixture
def idempotency(database: Database) -> Idempotency:
    return Idempotency(database)


async def _begun(idempotency: Idempotency, scope: Scope = SCOPE, owner: str = "a") -> int:
    begun = await idempotency.begin(scope, PRINT, owner)
    assert isinstance(begun, Fresh)
    return begun.fence


async def _refusal(idempotency: Idempotency, fingerprint: bytes = PRINT) -> TrunklineError:
    with pytest.raises(TrunklineError) as caught:
        await idempotency.begin(SCOPE, fingerprint, "b")
    return caught.value


async def _shift(database: Database, column: str, interval: str) -> None:
    await database.execute(f"UPDATE idempotency SET {column} = {column} - interval '{interval}'")


async def test_the_first_executes_and_the_next_gets_its_answer(idempotency: Idempotency) -> None:
    result = Replay(b"\x00answer", {"x-trunkline-charge": "12"}, completion_id=new_uuid())
    fence = await _begun(idempotency)
    assert await idempotency.finish(SCOPE, fence, result)
    assert await idempotency.begin(SCOPE, PRINT, "b") == result


async def test_an_error_that_counts_is_replayed_as_one(idempotency: Idempotency) -> None:
    result = Replay(b"status", failed=True)
    await idempotency.finish(SCOPE, await _begun(idempotency), result)
    assert await idempotency.begin(SCOPE, PRINT, "b") == result


async def test_another_request_under_the_key_is_refused(idempotency: Idempotency) -> None:
    fence = await _begun(idempotency)
    assert (await _refusal(idempotency, OTHER_PRINT)).reason is Reason.IDEMPOTENCY_KEY_REUSED
    await idempotency.finish(SCOPE, fence, Replay(b"answer"))
    assert (await _refusal(idempotency, OTHER_PRINT)).reason is Reason.IDEMPOTENCY_KEY_REUSED


async def test_while_it_runs_the_next_is_told_when_to_ask(idempotency: Idempotency) -> None:
    await _begun(idempotency)
    refusal = await _refusal(idempotency)
    assert refusal.reason is Reason.IDEMPOTENCY_IN_PROGRESS
    assert refusal.retry_after_s is not None
    assert LEASE_S - 10 < refusal.retry_after_s <= LEASE_S


async def test_of_64_at_once_one_executes(idempotency: Idempotency) -> None:
    outcomes = await asyncio.gather(
        *(idempotency.begin(SCOPE, PRINT, str(n)) for n in range(64)), return_exceptions=True
    )
    assert [outcome for outcome in outcomes if isinstance(outcome, Fresh)] == [Fresh(1)]
    refusals = [outcome.reason for outcome in outcomes if isinstance(outcome, TrunklineError)]
    assert refusals == [Reason.IDEMPOTENCY_IN_PROGRESS] * 63


@pytest.mark.parametrize(
    "other",
    [
        replace(SCOPE, tenant_id=new_uuid()),
        replace(SCOPE, principal="key:xyz"),
        replace(SCOPE, method="/trunkline.v1.Other/M"),
        replace(SCOPE, key="order-2"),
    ],
    ids=["tenant", "principal", "method", "key"],
)
async def test_a_key_counts_within_its_scope_only(idempotency: Idempotency, other: Scope) -> None:
    await _begun(idempotency)
    assert await _begun(idempotency, other) == 1


async def test_a_dead_owner_is_followed_and_its_writes_miss(database: Database, idempotency: Idempotency) -> None:
    old = await _begun(idempotency)
    await _shift(database, "lease_until", "31 seconds")
    new = await _begun(idempotency, owner="b")
    assert new == old + 1
    assert not await idempotency.heartbeat(SCOPE, old)
    assert not await idempotency.finish(SCOPE, old, Replay(b"stale"))
    assert not await idempotency.forget(SCOPE, old)
    assert await idempotency.finish(SCOPE, new, Replay(b"answer"))
    assert await idempotency.begin(SCOPE, PRINT, "c") == Replay(b"answer")


async def test_of_64_that_follow_a_dead_owner_one_executes(database: Database, idempotency: Idempotency) -> None:
    await _begun(idempotency)
    await _shift(database, "lease_until", "31 seconds")
    outcomes = await asyncio.gather(
        *(idempotency.begin(SCOPE, PRINT, str(n)) for n in range(64)), return_exceptions=True
    )
    assert [outcome for outcome in outcomes if isinstance(outcome, Fresh)] == [Fresh(2)]


async def test_a_dead_owner_s_key_is_still_not_free_for_another_request(
    database: Database, idempotency: Idempotency
) -> None:
    await _begun(idempotency)
    await _shift(database, "lease_until", "31 seconds")
    assert (await _refusal(idempotency, OTHER_PRINT)).reason is Reason.IDEMPOTENCY_KEY_REUSED


async def test_a_heartbeat_keeps_the_lease(database: Database, idempotency: Idempotency) -> None:
    fence = await _begun(idempotency)
    await _shift(database, "lease_until", "31 seconds")
    assert await idempotency.heartbeat(SCOPE, fence)
    assert (await _refusal(idempotency)).reason is Reason.IDEMPOTENCY_IN_PROGRESS


async def test_a_forgotten_request_is_executed_again(idempotency: Idempotency) -> None:
    assert await idempotency.forget(SCOPE, await _begun(idempotency))
    assert await _begun(idempotency, owner="b") == 1


async def test_a_result_is_kept_once(idempotency: Idempotency) -> None:
    fence = await _begun(idempotency)
    await idempotency.finish(SCOPE, fence, Replay(b"first"))
    assert not await idempotency.finish(SCOPE, fence, Replay(b"second"))
    assert not await idempotency.forget(SCOPE, fence)
    assert not await idempotency.heartbeat(SCOPE, fence)
    assert await idempotency.begin(SCOPE, PRINT, "b") == Replay(b"first")


async def test_past_its_time_a_result_does_not_count(database: Database, idempotency: Idempotency) -> None:
    completion_id = new_uuid()
    await idempotency.finish(SCOPE, await _begun(idempotency), Replay(b"old", completion_id=completion_id))
    await _shift(database, "create_time", "25 hours")
    assert await idempotency.find_result(SCOPE.tenant_id, completion_id) is None
    assert await idempotency.begin(SCOPE, OTHER_PRINT, "b") == Fresh(2)


async def test_purging_takes_what_is_past_its_time_and_not_at_work(
    database: Database, idempotency: Idempotency
) -> None:
    for key in ("old", "older"):
        scope = replace(SCOPE, key=key)
        await idempotency.finish(scope, await _begun(idempotency, scope), Replay(b"answer"))
    at_work = await _begun(idempotency, replace(SCOPE, key="at work"))
    await _shift(database, "create_time", "25 hours")
    await _begun(idempotency, replace(SCOPE, key="new"))
    assert [await idempotency.purge(limit=1) for _ in range(3)] == [1, 1, 0]
    assert await idempotency.finish(replace(SCOPE, key="at work"), at_work, Replay(b"answer"))


async def test_a_result_is_found_by_its_completion_for_its_tenant_only(idempotency: Idempotency) -> None:
    completion_id = new_uuid()
    result = Replay(b"answer", {"a": "b"}, completion_id=completion_id)
    await idempotency.finish(SCOPE, await _begun(idempotency), result)
    assert await idempotency.find_result(SCOPE.tenant_id, completion_id) == result
    assert await idempotency.find_result(new_uuid(), completion_id) is None
    assert await idempotency.find_result(SCOPE.tenant_id, new_uuid()) is None


async def test_an_empty_response_is_a_response(idempotency: Idempotency) -> None:
    await idempotency.finish(SCOPE, await _begun(idempotency), Replay(b""))
    assert await idempotency.begin(SCOPE, PRINT, "b") == Replay(b"")
