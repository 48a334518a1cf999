"""The database as one tenant may see it: what is asked here meets the policies of the tables, whatever it asks for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from trunkline_server.store import queries
from trunkline_server.store.connection import Connection
from trunkline_server.store.statements import Statements

_SQL = queries.load(__file__)


class Confined(Statements):
    """A role that owns nothing, and a tenant; both end with the transaction."""

    def __init__(self, database: Statements, tenant_id: UUID) -> None:
        self._database = database
        self._tenant_id = tenant_id

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        async with self._database.transaction() as connection:
            await connection.execute(_SQL.confine, str(self._tenant_id))
            yield connection

    borrowed = transaction
