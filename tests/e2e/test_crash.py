"""Kill -9 under load: whatever was acknowledged is in the books, and the books add up."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import UUID

import grpc
import pytest

from tests.fixtures.gateway import question
from tests.fixtures.refusal import refusal_of
from tests.fixtures.served import Client, Serve, Served
from tests.fixtures.until import until
from trunkline.v1 import chat_pb2, credits_pb2, usage_pb2
from trunkline_server.store import reconciliation
from trunkline_server.store.database import Database

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

CALLERS = 12
ACKNOWLEDGED_BEFORE = 60
"""So many answers first, so that the load is real when the process dies."""


class Load:
    """Callers who ask one question after another, and what they were told."""

    def __init__(self) -> None:
        self.charges: dict[str, int] = {}
        self.granted: dict[str, int] = {}
        self.refused: Counter[str] = Counter()

    async def ask(self, client: Client, name: str) -> bool:
        """A question and a grant of this name; an error is counted. False once nobody is there any more."""
        try:
            asked = chat_pb2.CompleteRequest(input=question(f"question number {name}"))
            completion = (await client.chat.Complete(asked, metadata=client.metadata, timeout=10)).completion
            self.charges[completion.completion_id] = completion.charge.nanos
            await self._grant(client, name)
        except grpc.aio.AioRpcError as error:
            told = refusal_of(error)
            self.refused[f"{told.code} {told.reason}".strip()] += 1
            return bool(told.reason)
        return True

    async def _grant(self, client: Client, name: str) -> None:
        amount = usage_pb2.Amount(unit="CREDIT", nanos=1000)
        asked = credits_pb2.GrantCreditsRequest(amount=amount, request_id=name)
        await client.credits.GrantCredits(asked, metadata=client.metadata, timeout=10)
        self.granted[name] = amount.nanos

    async def acknowledged(self, more: int) -> None:
        """Waits for so many answers from now on."""
        goal = len(self.charges) + more
        await until(lambda: len(self.charges) >= goal, limit_s=40)


@asynccontextmanager
async def load(*gateways: Served) -> AsyncIterator[Load]:
    """Runs while the block does; users are few, so that their accounts are contended for."""
    told = Load()
    callers = [asyncio.create_task(_caller(told, gateways[n % len(gateways)], n)) for n in range(CALLERS)]
    try:
        yield told
    finally:
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)


async def _caller(told: Load, served: Served, number: int) -> None:
    count = itertools.count()
    async with served.client(f"user{number % 3}") as client:
        while await told.ask(client, f"{number}-{next(count)}"):
            pass


async def assert_kept(told: Load, database: Database) -> None:
    """Every acknowledged charge and grant is a transfer, exactly once; all else adds up."""
    rows = await database.fetch("SELECT hold_id, -sum(amount)::bigint, count(*) FROM transfer GROUP BY hold_id")
    kept = {f"cmpl_{row[0].hex}": (row[1], row[2]) for row in rows if row[0] is not None}
    lost = {name: nanos for name, nanos in told.charges.items() if kept.get(name) != (nanos, 1)}
    assert lost == {}, f"{len(lost)} of {len(told.charges)}"
    usage = {f"cmpl_{row[0].hex}" for row in await database.fetch("SELECT completion_id FROM usage")}
    assert told.charges.keys() <= usage
    grants = {
        row[0]: row[1] for row in await database.fetch("SELECT request_id, amount FROM transfer WHERE kind = 'grant'")
    }
    assert told.granted.items() <= grants.items()
    assert await reconciliation.audit(database) == []


async def test_kill_the_gateway_under_load(serve: Serve) -> None:
    first = await serve()
    await first.until_serving()
    async with load(first) as told:
        await told.acknowledged(ACKNOWLEDGED_BEFORE)
        first.send(signal.SIGKILL)
        await first.gone()
    second = await serve()
    await second.until_serving(but=first.address)
    async with second.database() as database, second.client("user0") as client:
        await assert_kept(told, database)
        assert await told.ask(client, "after")
        assert told.granted
        await assert_kept(told, database)
    print(f"{len(told.charges)} charges, {len(told.granted)} grants kept; refused {dict(told.refused)}")
    assert set(told.refused) <= {"UNAVAILABLE"}, "what the transport itself says of a peer that died"


async def test_kill_the_embedded_database_under_load_again_and_again(serve: Serve) -> None:
    """The gateway starts it again; callers hear that the store does not answer, and nothing worse."""
    served = await serve()
    await served.until_serving()
    async with load(served) as told:
        for _ in range(3):
            await told.acknowledged(ACKNOWLEDGED_BEFORE)
            killed = served.postgres_pid
            os.kill(killed, signal.SIGKILL)
            await until(lambda: restarted(served, killed))  # noqa: B023 - awaited at once
        await told.acknowledged(ACKNOWLEDGED_BEFORE)
    async with served.database() as database:
        await nothing_running(database)
        await assert_kept(told, database)
    print(f"{len(told.charges)} charges, {len(told.granted)} grants kept; refused {dict(told.refused)}")
    assert set(told.refused) <= {"UNAVAILABLE STORE_UNAVAILABLE", "DEADLINE_EXCEEDED DEADLINE"}
    served.send(signal.SIGTERM)
    assert await served.gone() == 0


def restarted(served: Served, killed: int) -> bool:
    with suppress(OSError, ValueError):
        return served.postgres_pid != killed
    return False


async def nothing_running(database: Database) -> None:
    """Bills of callers who left are written, so that no hold of this moment is seen."""

    async def done() -> bool:
        return int(await database.fetchval("SELECT count(*) FROM hold WHERE state = 'held'")) == 0

    await until(done, limit_s=5)


async def test_two_gateways_over_one_database_and_one_dies(serve: Serve) -> None:
    """The one that dies is the parent of the database, so the other becomes it."""
    one = await serve()
    await one.until_serving()
    two = await serve()
    await two.until_serving(but=one.address)
    assert "tl_live_" not in two.log
    async with load(one, two) as told:
        await told.acknowledged(ACKNOWLEDGED_BEFORE)
        one.send(signal.SIGKILL)
        await one.gone()
        await told.acknowledged(ACKNOWLEDGED_BEFORE)
    async with two.database() as database:
        await assert_kept(told, database)
    print(f"{len(told.charges)} charges, {len(told.granted)} grants kept; refused {dict(told.refused)}")
    assert set(told.refused) <= {"UNAVAILABLE", "UNAVAILABLE STORE_UNAVAILABLE"}
    async with two.client("user1") as client:
        balance = await client.credits.GetBalance(credits_pb2.GetBalanceRequest(), metadata=client.metadata)
        assert balance.account.balance.nanos > 0
    two.send(signal.SIGTERM)
    assert await two.gone() == 0


async def test_a_call_repeated_after_the_crash_is_charged_once(serve: Serve) -> None:
    """The caller does not know whether it happened, and asks again by the same name."""
    first = await serve()
    await first.until_serving()
    asked = chat_pb2.CompleteRequest(input=question("once and no more"), request_id="the-one")
    async with first.client("ada") as client:
        answered = await client.chat.Complete(asked, metadata=client.metadata)
    first.send(signal.SIGKILL)
    await first.gone()
    second = await serve()
    await second.until_serving(but=first.address)
    async with second.client("ada") as client:
        again = await client.chat.Complete(asked, metadata=client.metadata)
        assert again == answered
    async with second.database() as database:
        assert await database.fetchval("SELECT count(*) FROM usage") == 1
        spelled = UUID(answered.completion.completion_id.removeprefix("cmpl_"))
        assert await database.fetchval("SELECT hold_id FROM transfer WHERE kind = 'settle'") == spelled
        assert await reconciliation.audit(database) == []
