"""What all tenants keep out of their calls, in memory: read at the start, and again whenever it changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from trunkline.v1 import guard_pb2
from trunkline_server.core.errors import TrunklineError
from trunkline_server.core.guard.policy import Standing, stricter
from trunkline_server.core.guard.span import Finder
from trunkline_server.store.database import Database
from trunkline_server.store.guard_policies import CHANNEL, GuardPolicies

_log = logging.getLogger(__name__)


class Policies:
    """One reading at a time, so that an older one never comes after a newer one. `house` is what all tenants share."""

    def __init__(self, database: Database, house: guard_pb2.Guard, installed: Sequence[Finder] = ()) -> None:
        self.table: Final = GuardPolicies(database)
        self._house = house
        self._installed = installed
        self._unset = Standing(guard_pb2.GuardPolicy(guard=house), installed)
        self._standing: Mapping[UUID, Standing] = {}
        self._database = database
        self._reading = asyncio.Lock()
        self._changed = asyncio.Event()

    def of(self, tenant_id: UUID) -> Standing:
        """What the tenant's calls are held to."""
        return self._standing.get(tenant_id, self._unset)

    async def follow(self) -> None:
        """Hear of changes, and know what is there already."""
        await self._database.listen(CHANNEL, lambda _: self._changed.set())
        await self.refresh()

    async def keep(self) -> None:
        """Read again after every change, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self.refresh()

    async def refresh(self) -> None:
        """Hold to what the table says now; with the database away, to what it said last."""
        async with self._reading:
            try:
                found = await self.table.all()
            except TrunklineError as error:
                _log.warning("guards.kept reason=%s", error.reason.value)
                return
            self._standing = {tenant_id: self._read(tenant_id, policy) for tenant_id, policy in found.items()}

    def _read(self, tenant_id: UUID, policy: guard_pb2.GuardPolicy) -> Standing:
        whole = guard_pb2.GuardPolicy(guard=stricter(self._house, policy.guard), patterns=policy.patterns)
        known = self._standing.get(tenant_id)
        if known is not None and known.policy == whole:
            return known
        try:
            return Standing(whole, self._installed)
        except TrunklineError:  # it was fit once; what can be kept out still is
            _log.warning("guard.pattern_unfit tenant=%s", tenant_id)
            return Standing(guard_pb2.GuardPolicy(guard=whole.guard), self._installed)
