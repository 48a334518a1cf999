"""`make soak`: several processes on one ledger, kill -9 of them and of the database under load, and then the proof."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from trunkline_server.core.errors import TrunklineError
from trunkline_server.core.ids import new_uuid
from trunkline_server.store.accounts import NewAccounts, Owner
from trunkline_server.store.database import Database, DatabaseSettings
from trunkline_server.store.embedded import EmbeddedPostgres
from trunkline_server.store.ledger import Ledger, LedgerSettings
from trunkline_server.store.migrate import migrate
from trunkline_server.store.reconciliation import examine
from trunkline_server.store.upkeep import Upkeep

GRANTS: Final = {"rich": 2_000_000, "poor": 20_000, "wild": 2_000_000}
"""`poor` is refused most of the time."""
COUNT: Final = """
SELECT (SELECT count(*) FROM hold) + (SELECT count(*) FROM hold WHERE closed_at IS NOT NULL)
     + (SELECT count(*) FROM transfer WHERE kind IN ('grant', 'adjust', 'refund'))
"""
LOWEST: Final = """
SELECT coalesce(min(balance_after), 0)::bigint FROM transfer JOIN account a ON a.id = account_id
WHERE owner_id <> 'wild'
"""
TWICE: Final = """
SELECT count(*) FROM (SELECT 1 FROM transfer WHERE hold_id IS NOT NULL AND kind <> 'refund'
                      GROUP BY hold_id, kind HAVING count(*) > 1) AS doubled
"""


@dataclass
class Soak:
    """What runs, and what it was promised."""

    postgres: EmbeddedPostgres
    database: Database
    callers: int
    tenant_id: UUID = field(default_factory=new_uuid)
    charges: dict[UUID, int] = field(default_factory=dict)
    tellers: list[Process] = field(default_factory=list)
    readers: list[asyncio.Task[None]] = field(default_factory=list)
    kills: dict[str, int] = field(default_factory=lambda: {"database": 0, "teller": 0})

    async def start(self) -> None:
        command = (sys.executable, "-m", "tests.soak.teller", self.postgres.url, str(self.tenant_id), str(self.callers))
        teller = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
        self.tellers.append(teller)
        self.readers.append(asyncio.create_task(self._read(teller)))

    async def _read(self, teller: Process) -> None:
        assert teller.stdout is not None
        async for line in teller.stdout:
            if line.endswith(b"\n"):
                hold_id, charge = line.split()
                self.charges[UUID(hex=hold_id.decode())] = int(charge)

    async def kill(self) -> None:
        """The database, or one of those who use it, who is replaced."""
        if random.random() < 0.5 and self.postgres.pid is not None:
            self.kills["database"] += 1
            os.kill(self.postgres.pid, signal.SIGKILL)
            return
        self.kills["teller"] += 1
        teller = self.tellers.pop(0)
        teller.kill()
        await teller.wait()
        await self.start()

    async def stop(self) -> None:
        for teller in self.tellers:
            teller.terminate()
        await asyncio.gather(*(teller.wait() for teller in self.tellers), *self.readers)

    async def count(self) -> int:
        with suppress(TrunklineError):
            return int(await self.database.fetchval(COUNT))
        return 0


async def soak(home: Path, operations: int, processes: int, callers: int, kill_every_s: float) -> list[str]:
    """What is wrong; an empty list is the good answer."""
    postgres = await EmbeddedPostgres.start(home)
    await migrate(postgres.url)
    database = await Database.open(DatabaseSettings(postgres.url, command_timeout_s=30, acquire_timeout_s=10))
    ledger = await Ledger.open(database, LedgerSettings(NewAccounts(0)))
    run = Soak(postgres, database, callers)
    await _more(ledger, run.tenant_id)
    began = time.monotonic()
    for _ in range(processes):
        await run.start()
    while (done := await run.count()) < operations:
        await asyncio.sleep(kill_every_s * random.uniform(0.5, 1.5))
        await run.kill()
        await _more(ledger, run.tenant_id)
    await run.stop()
    seconds = time.monotonic() - began
    print(f"{done} operations by {processes} processes of {callers} callers in {seconds:.0f} s, kills {run.kills}")
    wrong = await _wrong(run, ledger)
    await ledger.close()
    await database.close()
    await postgres.stop()
    return wrong


async def _more(ledger: Ledger, tenant_id: UUID) -> None:
    """Spent credits are replaced now and then, so that calls are refused and served by turns."""
    for user, grant in GRANTS.items():
        with suppress(TrunklineError):
            await ledger.grant(Owner.user(tenant_id, user), grant, new_uuid().hex)


async def _wrong(run: Soak, ledger: Ledger) -> list[str]:
    await asyncio.sleep(6)  # holds of those who died have ended
    while await ledger.expire_due():
        pass
    while await Upkeep(run.database, timedelta(days=30)).lapse_credits():
        pass
    whole = await examine(run.database, whole=True)
    print(f"audit: {whole.transfers} transfers in {whole.duration_ms} ms, {len(whole.findings)} findings")
    wrong = [f"{finding.rule} {finding.subject} {finding.detail}" for finding in whole.findings]
    rows = await run.database.fetch("SELECT id, charged FROM hold WHERE state = 'settled'")
    kept = {row["id"]: row["charged"] for row in rows}
    lost = [hold_id for hold_id, charge in run.charges.items() if kept.get(hold_id) != charge]
    held = await run.database.fetchval("SELECT sum(held)::bigint FROM account")
    lowest, doubled = await run.database.fetchval(LOWEST), await run.database.fetchval(TWICE)
    print(f"{len(run.charges)} acknowledged charges, {len(lost)} lost; lowest balance of a limited account {lowest}")
    wrong += [f"lost {hold_id}" for hold_id in lost]
    wrong += [f"{doubled} charged twice"] * bool(doubled) + [f"{held} still held"] * bool(held)
    return wrong + [f"a limited account came to {lowest}"] * (lowest < 0)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--operations", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--callers", type=int, default=67, help="of each process")
    parser.add_argument("--kill-every", type=float, default=2.5, metavar="S")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="trunkline-soak-") as home:
        run = soak(Path(home), given.operations, given.processes, given.callers, given.kill_every)
        wrong = asyncio.run(run)
    for line in wrong:
        print(f"wrong: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
