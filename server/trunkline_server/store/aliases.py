"""Aliases: further names of models, the same for all tenants."""

from __future__ import annotations

from collections.abc import Sequence

from trunkline_server.core.errors import not_found
from trunkline_server.store import queries
from trunkline_server.store.database import Database

_SQL = queries.load(__file__)


class Aliases:
    """The table of aliases."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> dict[str, tuple[str, ...]]:
        """Their models, by name."""
        return {row["alias"]: tuple(row["models"]) for row in await self._database.fetch(_SQL.all)}

    async def set(self, alias: str, models: Sequence[str], set_by: str) -> None:
        """Make it, or let it mean something else from now on."""
        await self._database.execute(_SQL.set, alias, list(models), set_by)

    async def delete(self, alias: str) -> None:
        """Raises RESOURCE_NOT_FOUND."""
        if await self._database.fetchval(_SQL.delete, alias) is None:
            raise not_found("model_alias", alias)
