"""The ledger alone: how many calls a second can be held and settled, each with its usage row."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final
from uuid import uuid4

import uvloop

from tests.bench.child import orders, say
from trunkline_server.core.ids import new_uuid
from trunkline_server.core.money import NANOS
from trunkline_server.store.accounts import AccountRef, NewAccounts, Owner
from trunkline_server.store.database import Database, DatabaseSettings
from trunkline_server.store.embedded import EmbeddedPostgres
from trunkline_server.store.ledger import Ledger, LedgerSettings
from trunkline_server.store.usage import UsageRow

PROVIDER: Final = "openai"
MODEL: Final = "gpt-4o-mini"
VERSION: Final = "bench"


async def pair(ledger: Ledger, account: AccountRef) -> None:
    """What one call asks of the ledger."""
    completion_id = new_uuid()
    hold = await ledger.reserve(
        completion_id, account, 1000, 120, provider=PROVIDER, model=MODEL, price_version=VERSION
    )
    row = UsageRow(
        completion_id=completion_id,
        tenant_id=account.tenant_id,
        operation="chat",
        provider=PROVIDER,
        model=MODEL,
        requested_model=MODEL,
        price_version=VERSION,
        outcome="OUTCOME_COMPLETED",
        charge_nanos=10,
    )
    await ledger.settle(hold, 10, row)


async def pairs(ledger: Ledger, account: AccountRef, seconds: float, at_once: int) -> int:
    """Pairs until the time is over; how many."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds

    async def place() -> int:
        count = 0
        while loop.time() < until:
            await pair(ledger, account)
            count += 1
        return count

    return sum(await asyncio.gather(*(place() for _ in range(at_once))))


async def main() -> None:
    postgres = await EmbeddedPostgres.start(Path(sys.argv[1]))  # the one that the gateway runs
    database = await Database.open(DatabaseSettings(postgres.url))
    ledger = await Ledger.open(database, LedgerSettings(NewAccounts(1_000_000 * NANOS)))
    account = await ledger.accounts.account_for(Owner.user(uuid4(), "bench"), PROVIDER, MODEL)
    say({})
    async for order in orders():
        say({"count": await pairs(ledger, account, order["seconds"], order["at_once"]), "failed": 0})
    await ledger.close()
    await database.close()
    await postgres.stop()


if __name__ == "__main__":
    uvloop.run(main())
