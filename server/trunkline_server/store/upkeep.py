"""What keeps the books tidy: credits whose time is over are moved out, holds closed long ago are forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from trunkline_server.store import queries
from trunkline_server.store.database import Database

_SQL = queries.load(__file__)

LAPSE_ACCOUNTS: Final = 200
PURGE_ROWS: Final = 5000


@dataclass(frozen=True, slots=True)
class Upkeep:
    """Chores that any number of replicas may do at once."""

    database: Database
    hold_retention: timedelta

    async def lapse_credits(self, accounts: int = LAPSE_ACCOUNTS) -> int:
        """Moves out what is left of credits past their end, once; says for how many accounts. A call that starts looks
        at its own account first, so this is for those that nobody uses."""
        count: int = await self.database.fetchval(_SQL.lapse, accounts)
        return count

    async def purge_holds(self, limit: int = PURGE_ROWS) -> int:
        """Forgets holds that were closed long ago; says how many. What they were charged stands in the transfers."""
        async with self.database.transaction() as connection:
            await connection.execute(_SQL.mark, self.hold_retention)
            gone = await connection.execute(_SQL.purge, self.hold_retention, limit)
        return int(gone.removeprefix("DELETE "))
