"""What tenants keep out of their calls: one policy each, read as a whole on every change."""

from __future__ import annotations

from uuid import UUID

from trunkline.v1 import guard_pb2
from trunkline_server.store import queries
from trunkline_server.store.database import Database

CHANNEL = "trunkline_guards"

_SQL = queries.load(__file__)


class GuardPolicies:
    """The table of policies."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> dict[UUID, guard_pb2.GuardPolicy]:
        """Of every tenant that has one."""
        rows = await self._database.fetch(_SQL.all)
        return {tenant_id: guard_pb2.GuardPolicy.FromString(policy) for tenant_id, policy in rows}

    async def find(self, tenant_id: UUID) -> guard_pb2.GuardPolicy:
        """Empty where there is none."""
        return guard_pb2.GuardPolicy.FromString(
            await self._database.of(tenant_id).fetchval(_SQL.find, tenant_id) or b""
        )

    async def set(self, tenant_id: UUID, policy: guard_pb2.GuardPolicy, set_by: str) -> None:
        """In place of the one before."""
        await self._database.of(tenant_id).execute(_SQL.set, tenant_id, policy.SerializeToString(), set_by)
