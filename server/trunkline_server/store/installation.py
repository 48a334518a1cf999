"""What belongs to this installation as a whole: one secret, from which all other server-side keys are derived."""

from __future__ import annotations

import secrets

from trunkline_server.store import queries
from trunkline_server.store.database import Database

_SQL = queries.load(__file__)
SECRET_BYTES = 32


async def installation_secret(database: Database) -> bytes:
    """The 32 bytes of this installation, made by whoever asks first."""
    found: bytes | None = await database.fetchval(_SQL.find)
    if found is not None:
        return found
    await database.execute(_SQL.make, secrets.token_bytes(SECRET_BYTES))
    made: bytes = await database.fetchval(_SQL.find)
    return made
