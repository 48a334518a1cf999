"""Tenants' own keys on the way of a call: which account a tenant's calls to a provider go out with."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from functools import partial
from typing import Final
from uuid import UUID

from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.sealing import SealBroken
from trunkline_server.gateway.mirror import Mirror
from trunkline_server.gateway.routes import Routes
from trunkline_server.providers.provider import Upstream
from trunkline_server.store.database import Database
from trunkline_server.store.provider_accounts import CHANNEL, ProviderAccounts

_log = logging.getLogger(__name__)

KEY_S_MAX: Final = 300.0
"""How long a key may lie in memory in the clear."""
KEYS_MAX: Final = 1000


class OwnAccounts(Mirror):
    """Knows every default account, without its key; a key is read when a call needs it, and forgotten soon."""

    channel = CHANNEL
    name = "provider_accounts"

    def __init__(self, routes: Routes, database: Database, accounts: ProviderAccounts) -> None:
        super().__init__(database)
        self._routes = routes
        self._accounts = accounts
        self._keys: dict[UUID, tuple[str, float]] = {}
        self._changes = 0

    async def follow(self) -> None:
        """Hear of changes, and know what is there already. Raises STORE_UNAVAILABLE: a start without this would send
        tenants' calls with another's key."""
        await self._listen()
        await self._read_alone()

    def has(self, tenant_id: UUID, provider: str) -> bool:
        """Whether a tenant's calls to a provider go out with a key of its own."""
        return self._routes.has_own(tenant_id, provider)

    def upstream(self, tenant_id: UUID, provider: str, account_id: UUID) -> Upstream:
        """The way to a provider with the key of an account. Raises PROVIDER_DISABLED."""
        return self._routes.registry.keyed(provider, partial(self._read_key, tenant_id, account_id))

    async def _read(self) -> None:
        own: defaultdict[UUID, dict[str, Upstream]] = defaultdict(dict)
        for tenant_id, provider, account_id in await self._accounts.defaults():
            if self._routes.registry.takes_keys(provider):
                own[tenant_id][provider] = self.upstream(tenant_id, provider, account_id)
        self._routes.use_own(dict(own))

    def forget(self) -> None:
        """No key that was read is the right one any longer."""
        self._changes += 1
        self._keys.clear()

    def _heard(self, payload: str | None) -> None:
        self.forget()
        super()._heard(payload)

    async def _read_key(self, tenant_id: UUID, account_id: UUID) -> str:
        now = asyncio.get_running_loop().time()
        key, good_until = self._keys.get(account_id, ("", 0.0))
        if now < good_until:
            return key
        changes, key = self._changes, await self._unsealed(tenant_id, account_id)
        if changes == self._changes:  # else it may be the key before
            self._remember(account_id, key, now + KEY_S_MAX)
        return key

    async def _unsealed(self, tenant_id: UUID, account_id: UUID) -> str:
        try:
            return await self._accounts.api_key(tenant_id, account_id)
        except SealBroken:
            _log.error("provider_account.sealed account=%s", account_id)
            raise UpstreamFailure(FailureKind.AUTH) from None
        except TrunklineError as error:
            if error.reason is Reason.RESOURCE_NOT_FOUND:  # deleted by another replica, whose word is on its way
                self._changed.set()
            raise UpstreamFailure(FailureKind.NEVER_SENT) from None

    def _remember(self, account_id: UUID, key: str, good_until: float) -> None:
        if len(self._keys) >= KEYS_MAX:
            del self._keys[next(iter(self._keys))]
        self._keys[account_id] = (key, good_until)
