"""The database dies while the ledger works: what was acknowledged is in the books, and the books add up."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

import pytest

from tests.fixtures.ledger import Till, open_till
from tests.fixtures.until import until
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.store.committer import CommitSettings
from trunkline_server.store.database import Database, DatabaseSettings
from trunkline_server.store.embedded import EmbeddedPostgres

CYCLES = 3
WRITERS = 16
BACKENDS = "SELECT array_agg(pid) FROM pg_stat_activity WHERE backend_type = 'client backend'"


async def kill(server: EmbeddedPostgres) -> None:
    """Ends the server by force, and returns when another has taken its place."""
    killed = server.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    await until(lambda: server.pid != killed)


@contextmanager
def frozen(server: EmbeddedPostgres, backends: list[int]) -> Iterator[None]:
    """A server that neither answers nor goes away."""
    assert server.pid is not None
    for pid in (server.pid, *backends):
        os.kill(pid, signal.SIGSTOP)
    yield
    for pid in (*backends, server.pid):
        os.kill(pid, signal.SIGCONT)


class Writers:
    """Callers who reserve and settle until they are told to stop, and remember what they were promised."""

    def __init__(self, till: Till) -> None:
        self.till = till
        self.charged: dict[UUID, int] = {}
        self.stopped = False

    async def write(self) -> None:
        while not self.stopped:
            with suppress(TrunklineError):  # a hold refused for want of a database; a settlement waits for it
                reserved = await self.till.reserve(5)
                settled = await self.till.ledger.settle(reserved, 3, self.till.usage(reserved.hold_id, charge_nanos=3))
                self.charged[reserved.hold_id] = settled.charged

    async def work(self, pairs: int) -> None:
        goal = len(self.charged) + pairs
        await until(lambda: len(self.charged) >= goal)


@pytest.mark.slow
async def test_kill_9_of_the_database_loses_and_doubles_nothing(own_postgres: EmbeddedPostgres) -> None:
    database = await Database.open(DatabaseSettings(own_postgres.url))
    async with open_till(database, grant=10**12, commit=CommitSettings(answer_s=10.0)) as till:
        await till.ref()
        writers = Writers(till)
        tasks = [asyncio.create_task(writers.write()) for _ in range(WRITERS)]
        for _ in range(CYCLES):
            await writers.work(pairs=100)
            await kill(own_postgres)
        await writers.work(pairs=100)
        writers.stopped = True
        await asyncio.gather(*tasks)
        assert await till.ledger.audit() == []
        account = await till.account()
        assert (account.held, account.posted_debit) == (0, sum(writers.charged.values()))
        assert await database.fetchval("SELECT count(*) FROM usage") == len(writers.charged)
    await database.close()


async def test_without_a_database_callers_are_told_in_time_and_settlements_arrive_later(
    own_postgres: EmbeddedPostgres,
) -> None:
    database = await Database.open(DatabaseSettings(own_postgres.url))
    async with open_till(database, commit=CommitSettings(answer_s=0.3)) as till:
        reserved = await till.reserve(600)
        with frozen(own_postgres, await database.fetchval(BACKENDS)):
            for call in (till.ledger.settle(reserved, 250), till.reserve(1)):
                with pytest.raises(TrunklineError) as caught:
                    await call
                assert caught.value.reason is Reason.STORE_UNAVAILABLE
        await till.ledger.close()
        account = await till.account()
        assert (account.held, account.balance_nanos) == (0, 750)
    await database.close()
