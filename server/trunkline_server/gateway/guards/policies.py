"""What all tenants keep out of their calls, in memory: read at the start, and again whenever it changes."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from trunkline.v1 import guard_pb2
from trunkline_server.core.errors import TrunklineError
from trunkline_server.core.guard.policy import Standing, stricter
from trunkline_server.core.guard.span import Finder
from trunkline_server.gateway.mirror import Mirror
from trunkline_server.store.database import Database
from trunkline_server.store.guard_policies import CHANNEL, GuardPolicies

_log = logging.getLogger(__name__)


class Policies(Mirror):
    """`house` is what all tenants share."""

    channel = CHANNEL
    name = "guards"

    def __init__(self, database: Database, house: guard_pb2.Guard, installed: Sequence[Finder] = ()) -> None:
        super().__init__(database)
        self.table: Final = GuardPolicies(database)
        self._house = house
        self._installed = installed
        self._unset = Standing(guard_pb2.GuardPolicy(guard=house), installed)
        self._standing: Mapping[UUID, Standing] = {}

    def of(self, tenant_id: UUID) -> Standing:
        """What the tenant's calls are held to."""
        return self._standing.get(tenant_id, self._unset)

    async def _read(self) -> None:
        found = await self.table.all()
        self._standing = {tenant_id: self._held_to(tenant_id, policy) for tenant_id, policy in found.items()}

    def _held_to(self, tenant_id: UUID, policy: guard_pb2.GuardPolicy) -> Standing:
        whole = guard_pb2.GuardPolicy(guard=stricter(self._house, policy.guard), patterns=policy.patterns)
        known = self._standing.get(tenant_id)
        if known is not None and known.policy == whole:
            return known
        try:
            return Standing(whole, self._installed)
        except TrunklineError:  # it was fit once; what can be kept out still is
            _log.warning("guard.pattern_unfit tenant=%s", tenant_id)
            return Standing(guard_pb2.GuardPolicy(guard=whole.guard), self._installed)
