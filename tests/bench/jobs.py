"""Jobs alone: how many can be claimed a second, and how long one waits for its worker. `python -m tests.bench.jobs`."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

import uvloop
from google.rpc import status_pb2

from tests.fixtures.until import until
from trunkline.v1 import chat_pb2, jobs_pb2
from trunkline_server.core.call import Call, Caller
from trunkline_server.core.money import NANOS
from trunkline_server.gateway.jobs.kind import Bench, Done, JobKind, JobOffer
from trunkline_server.gateway.jobs.orders import Orders, OrderSettings, Wish
from trunkline_server.store.accounts import AccountRef, NewAccounts, Owner
from trunkline_server.store.database import Database, DatabaseSettings
from trunkline_server.store.embedded import EmbeddedPostgres
from trunkline_server.store.jobs import Caps, Jobs, spelled
from trunkline_server.store.leased_ledger import LeasedLedger
from trunkline_server.store.ledger import LedgerSettings
from trunkline_server.store.migrate import migrate
from trunkline_server.store.news import Announcer
from trunkline_server.worker.attempt import Shop
from trunkline_server.worker.jobs import JobWorker, WorkerSettings

JOBS: Final = 12_000
WORKERS: Final = 8
CLAIM: Final = 10
TENANTS: Final = 4
DISPATCHES: Final = 200


@dataclass
class Nothing:
    """JobKind that is done as soon as it is begun; notes when that was."""

    account: AccountRef
    begun: dict[str, float]

    async def offer(self, call: Call, spec: jobs_pb2.JobSpec) -> JobOffer:
        return JobOffer(self.account, 1000, "bench", "bench", "bench")

    async def run(self, call: Call, spec: jobs_pb2.JobSpec, bench: Bench) -> Done:
        self.begun[spec.chat.model] = time.perf_counter()
        return Done(jobs_pb2.JobResult())


async def fill(database: Database, orders: Orders, tenants: Mapping[UUID, AccountRef]) -> None:
    for tenant_id, account in tenants.items():
        orders.works["chat"].account = account  # type: ignore[attr-defined]
        call = Call("bench", Caller(tenant_id, "bench", frozenset()), "bench", 0.0)
        made = [await orders.make(call, _spec(str(number)), Wish()) for number in range(JOBS // TENANTS)]
        for start in range(0, len(made), 200):
            async with database.transaction() as connection:
                await connection.execute("SELECT job_enqueue($1)", spelled(made[start : start + 200]))


async def claim_rate(database: Database, jobs: Jobs) -> float:
    """Jobs claimed a second by all workers together."""

    async def worker() -> int:
        count, behind = 0, UUID(int=0)
        while claimed := await jobs.claim("default", behind, CLAIM, 30, Caps()):
            count, behind = count + len(claimed), claimed[-1].tenant_id
        return count

    began = time.perf_counter()
    counts = await asyncio.gather(*(worker() for _ in range(WORKERS)))
    assert sum(counts) == JOBS
    return sum(counts) / (time.perf_counter() - began)


async def dispatch_ms(database: Database, jobs: Jobs, orders: Orders, tenant_id: UUID) -> list[float]:
    """From the order to the first line of its work, one job after the other."""
    worker = JobWorker(Shop(jobs, orders.works, lambda error, _: status_pb2.Status()), WorkerSettings())
    await worker.follow(database)
    working = asyncio.create_task(worker.work())
    begun: dict[str, float] = orders.works["chat"].begun  # type: ignore[attr-defined]
    call, waits = Call("bench", Caller(tenant_id, "bench", frozenset()), "bench", 0.0), []
    for number in range(DISPATCHES):
        name, ordered = f"dispatch {number}", time.perf_counter()
        await jobs.enqueue(await orders.make(call, _spec(name), Wish()))
        await until(lambda name=name: name in begun)  # type: ignore[misc]
        waits.append((begun[name] - ordered) * 1000)
    working.cancel()
    await worker.drain(5)
    return waits


def _spec(name: str) -> jobs_pb2.JobSpec:
    return jobs_pb2.JobSpec(chat=chat_pb2.ChatInput(model=name))


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="trunkline-bench-") as home:
        postgres = await EmbeddedPostgres.start(Path(home) / "postgres")
        await migrate(postgres.url)
        database = await Database.open(DatabaseSettings(postgres.url, command_timeout_s=10, acquire_timeout_s=10))
        ledger = await LeasedLedger.open(database, LedgerSettings(NewAccounts(1_000_000 * NANOS)))
        tenants = {
            tenant_id: await ledger.accounts.account_for(Owner.user(tenant_id, "bench"), "bench", "bench")
            for tenant_id in (uuid4() for _ in range(TENANTS))
        }
        works: dict[str, JobKind] = {"chat": Nothing(next(iter(tenants.values())), {})}
        jobs, orders = Jobs(database, Announcer(database)), Orders(works, OrderSettings())
        await fill(database, orders, tenants)
        print(f"claimed by {WORKERS} workers: {await claim_rate(database, jobs):,.0f} jobs/s")
        waits = await dispatch_ms(database, jobs, orders, list(tenants)[-1])
        quantiles = statistics.quantiles(waits, n=100)
        print(f"dispatch: p50 {statistics.median(waits):.1f} ms, p99 {quantiles[98]:.1f} ms")
        await ledger.close()
        await database.close()
        await postgres.stop()


if __name__ == "__main__":
    uvloop.run(main())
