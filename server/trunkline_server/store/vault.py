"""Seals a tenant's secrets for one column of one table, and opens them again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import orjson

from trunkline_server.core.sealing import Place, seal, unseal
from trunkline_server.store.tenant_keys import TenantKeys


@dataclass(frozen=True, slots=True)
class Vault:
    """Secrets are words under names, which are sealed together."""

    keys: TenantKeys
    table: str
    column: str = "secrets"

    async def sealed(self, tenant_id: UUID, row_id: UUID, secrets: Mapping[str, str]) -> tuple[int, bytes]:
        """The version of the tenant's key, and what is kept."""
        newest = await self.keys.newest(tenant_id)
        place = self._place(tenant_id, row_id, newest.version)
        return newest.version, seal(newest.key, orjson.dumps(dict(secrets)), place)

    async def opened(self, tenant_id: UUID, row_id: UUID, key_version: int, sealed: bytes) -> dict[str, str]:
        """Raises SealBroken."""
        found = await self.keys.find(tenant_id, key_version)
        secrets: dict[str, str] = orjson.loads(unseal(found.key, sealed, self._place(tenant_id, row_id, key_version)))
        return secrets

    def _place(self, tenant_id: UUID, row_id: UUID, key_version: int) -> Place:
        return Place(tenant_id, self.table, self.column, row_id.hex, key_version)
