"""What is remembered of keys, and what must not be."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from trunkline_server.core.browser_token import BrowserTokens
from trunkline_server.core.errors import TrunklineError
from trunkline_server.door.caller import Callers
from trunkline_server.door.signed import Freshness
from trunkline_server.store.database import Database
from trunkline_server.store.keys import Keys, NewKey
from trunkline_server.store.nonces import Nonces
from trunkline_server.store.tenants import Tenant, Tenants


class Interrupted(Tenants):
    """Somebody revokes the key between the two looks that a caller takes."""

    callers: Callers
    revoked = ""

    async def get(self, tenant_id: UUID) -> Tenant:
        if self.revoked:
            await Keys(self._database, b"pepper").revoke(tenant_id, self.revoked)
            self.callers.forget(self.revoked)
        return await super().get(tenant_id)


async def test_what_was_read_while_a_key_was_revoked_is_not_remembered(database: Database) -> None:
    keys, tenants = Keys(database, b"pepper"), Interrupted(database)
    pages, freshness = BrowserTokens.derive(b"secret"), Freshness(Nonces(database), 60)
    tenants.callers = Callers(keys, tenants, 60, asyncio.get_running_loop().time, pages=pages, freshness=freshness)
    tenant = await tenants.create("t")
    record, secret = await keys.create(NewKey(tenant.tenant_id, "key", ["chat:*"], created_by="test"))
    tenants.revoked = record.key_id
    await tenants.callers.identify([f"Bearer {secret}"], "chat:write")
    with pytest.raises(TrunklineError, match="revoked"):
        await tenants.callers.identify([f"Bearer {secret}"], "chat:write")
