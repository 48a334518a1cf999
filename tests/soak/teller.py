"""One process of the soak: a ledger, and many callers who do with it whatever can be done, until it is told to stop.

Every acknowledged charge goes to stdout as a line, so that it is known even when the process is killed.
"""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import uvloop

from trunkline_server.core.errors import TrunklineError
from trunkline_server.core.ids import new_uuid
from trunkline_server.store.accounts import AccountRef, NewAccounts, Owner
from trunkline_server.store.database import Database, DatabaseSettings
from trunkline_server.store.ledger import Ledger, LedgerSettings
from trunkline_server.store.usage import UsageRow

PROVIDER: Final = "sandbox"
MODEL: Final = "echo"
TTL_S: Final = 5
MOST: Final = 1000
PAUSE_S: Final = 0.01


class Teller:
    """Callers of two accounts that are only spent from and granted to, and of one where everything happens."""

    def __init__(self, ledger: Ledger, tenant_id: UUID) -> None:
        self.ledger = ledger
        self.tenant_id = tenant_id
        self.count = 0
        self.stopped = False

    async def call(self, user: str) -> None:
        while not self.stopped:
            try:
                await self.step(Owner.user(self.tenant_id, user), wild=user == "wild")
            except TrunklineError:  # no credits, or no database for the moment
                await asyncio.sleep(PAUSE_S)

    async def step(self, owner: Owner, *, wild: bool) -> None:
        account = await self.ledger.accounts.account_for(owner, PROVIDER, MODEL)
        if wild and random.random() < 0.15:
            return await self.oddity(owner, account)
        hold_id, amount = new_uuid(), random.randrange(MOST)
        self.count += 1
        named = {"provider": PROVIDER, "model": MODEL, "price_version": "soak"}
        hold = await self.ledger.reserve(hold_id, account, amount, TTL_S, **named)
        fate = random.random()
        self.count += 1
        if fate < 0.05:
            return None  # a caller who dies: the hold has to expire
        if fate < 0.15:
            await self.ledger.release(hold)
            return None
        if fate < 0.25:
            hold = await self.ledger.extend(hold, random.randrange(MOST), TTL_S)
        charge = random.randint(0, hold.amount if not wild or fate < 0.95 else 2 * hold.amount)
        settled = await self.ledger.settle(hold, charge, self.usage(hold_id, charge))
        if settled.state == "settled":
            sys.stdout.write(f"{hold_id.hex} {settled.charged}\n")
        if wild and fate > 0.9 and charge:
            await self.refund(hold_id, charge)
        return None

    async def oddity(self, owner: Owner, account: AccountRef) -> None:
        """What operators do."""
        self.count += 1
        name, amount = new_uuid().hex, random.randint(1, 50 * MOST)
        fate = random.random()
        if fate < 0.4:
            end = datetime.now(UTC) + timedelta(seconds=random.uniform(0.5, 3))
            await self.ledger.grant(owner, amount, name, expires_at=end)
        elif fate < 0.7:
            await self.ledger.grant(owner, amount, name)
        else:
            await self.ledger.adjust(self.tenant_id, account.id, random.choice((-1, 1)) * amount, name, "soak")

    async def refund(self, hold_id: UUID, charge: int) -> None:
        """Several at once, of which one or a few can be."""
        self.count += 3
        amounts = (None, charge, random.randint(1, charge))
        refunds = (self.ledger.refund(self.tenant_id, hold_id, amount, new_uuid().hex) for amount in amounts)
        await asyncio.gather(*refunds, return_exceptions=True)

    def usage(self, completion_id: UUID, charge: int) -> UsageRow:
        return UsageRow(
            completion_id=completion_id,
            tenant_id=self.tenant_id,
            operation="chat",
            provider=PROVIDER,
            model=MODEL,
            requested_model=MODEL,
            price_version="soak",
            outcome="OUTCOME_COMPLETED",
            charge_nanos=charge,
        )


async def main(url: str, tenant: str, callers: int) -> None:
    database = await Database.open(DatabaseSettings(url))
    teller = Teller(await Ledger.open(database, LedgerSettings(NewAccounts(0))), UUID(tenant))
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, lambda: setattr(teller, "stopped", True))
    users = [("wild", "poor", "rich", "rich")[number % 4] for number in range(callers)]
    chores = asyncio.create_task(_expire(teller.ledger))
    await asyncio.gather(*(teller.call(user) for user in users))
    chores.cancel()
    await teller.ledger.close()
    await database.close()
    sys.stderr.write(f"operations {teller.count}\n")


async def _expire(ledger: Ledger) -> None:
    while True:
        await asyncio.sleep(1)
        with suppress(TrunklineError):
            await ledger.expire_due()


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    uvloop.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
