"""What jobs have submitted to providers. Known before it is polled, so that nobody submits it a second time."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from trunkline_server.store import queries
from trunkline_server.store.database import Database

_SQL = queries.load(__file__)


@dataclass(frozen=True, slots=True)
class Submitted:
    """`operation` None: it may have been submitted, and what it is called there is not known."""

    operation: str | None


class Operations:
    """One for each job. Writing needs the lease of the job."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, job_id: UUID) -> Submitted | None:
        row = await self._database.fetchrow(_SQL.find, job_id)
        return None if row is None else Submitted(row[0])

    async def intend(self, job_id: UUID, lease_token: int) -> bool:
        """Before it is submitted. False: the lease is lost, or somebody did so already."""
        return await self._database.execute(_SQL.intend, job_id, lease_token) == "INSERT 0 1"

    async def keep(self, job_id: UUID, lease_token: int, operation: str) -> bool:
        """What the provider calls it. False: the lease is lost."""
        return await self._database.execute(_SQL.keep, job_id, lease_token, operation) == "UPDATE 1"

    async def forget(self, job_id: UUID, lease_token: int) -> None:
        """It was certainly not submitted, or has certainly failed."""
        await self._database.execute(_SQL.forget, job_id, lease_token)
