"""The tables of models that were trained for tenants, and of the names that they have given them."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from trunkline.v1 import fine_tuning_pb2
from trunkline_server.core import ids
from trunkline_server.core.errors import invalid, not_found
from trunkline_server.core.moment import timestamp
from trunkline_server.store import queries
from trunkline_server.store.database import Database

_SQL = queries.load(__file__)

CHANNEL: Final = "trunkline_tuned_models"
NAMES_MAX: Final = 100
"""Of a tenant; all of them are held in memory."""


class Trained(NamedTuple):
    """A model that is a tenant's."""

    tenant_id: UUID
    provider: str
    base_model: str
    model: str


class Named(NamedTuple):
    """A tenant's name for a model."""

    tenant_id: UUID
    name: str
    provider: str
    model: str


class DeployedRow(NamedTuple):
    """A name and what it means."""

    name: str
    fine_tune_id: UUID
    provider: str
    model: str
    base_model: str
    checkpoint_step: int
    create_time: datetime | None = None

    def message(self, price_version: str) -> fine_tuning_pb2.DeployedModel:
        return fine_tuning_pb2.DeployedModel(
            name=self.name,
            fine_tune_id=ids.spell("ft", self.fine_tune_id),
            provider=self.provider,
            provider_model=self.model,
            base_model=self.base_model,
            checkpoint_step=self.checkpoint_step,
            price_version=price_version,
            create_time=timestamp(self.create_time),
        )


class TunedTables:
    """Names are found within their tenant; triggers announce every change."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def trained(self) -> list[Trained]:
        """Of all tenants."""
        return [Trained(*row) for row in await self._database.fetch(_SQL.trained)]

    async def names(self) -> list[Named]:
        """Of all tenants."""
        return [Named(*row) for row in await self._database.fetch(_SQL.names)]

    async def deploy(self, tenant_id: UUID, row: DeployedRow) -> DeployedRow:
        """Give a name, or let it mean something else from now on. Raises VALIDATION where there are too many."""
        made = await self._database.fetchrow(_SQL.deploy, tenant_id, *row[:-1], NAMES_MAX)
        if made is None:
            raise invalid("name", f"there are {NAMES_MAX} names already; take one away first")
        return DeployedRow(*made)

    async def page(self, tenant_id: UUID, behind: str | None, limit: int) -> list[DeployedRow]:
        """By name."""
        return [DeployedRow(*row) for row in await self._database.fetch(_SQL.page, tenant_id, behind, limit)]

    async def undeploy(self, tenant_id: UUID, name: str) -> None:
        """Raises RESOURCE_NOT_FOUND."""
        if await self._database.fetchval(_SQL.undeploy, tenant_id, name) is None:
            raise not_found("deployed model", name)
