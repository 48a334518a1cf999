"""What is wrong with this replica, as an event: once it has been so for two looks in a row, and once it is over."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from uuid import UUID

from trunkline.v1 import admin_pb2, events_pb2

_log = logging.getLogger(__name__)

DATABASE = admin_pb2.SYSTEM_PROBLEM_DATABASE


class HealthNews:
    """`told` says how the replica does; `tell` takes the events of the tenant that runs the gateway."""

    def __init__(
        self,
        told: Callable[[], Awaitable[admin_pb2.SystemHealth]],
        tell: Callable[[UUID, events_pb2.Event], None],
        tenant_id: UUID,
        replica_id: str,
    ) -> None:
        self._told = told
        self._tell = tell
        self._tenant_id = tenant_id
        self._replica_id = replica_id
        self._seen: frozenset[int] = frozenset()
        self._known: frozenset[int] = frozenset()

    async def look(self) -> None:
        """To be called again and again. While the database is away, nothing can be told but to the log."""
        seen = frozenset((await self._told()).problems)
        lasting, self._seen = seen & (self._seen | self._known), seen
        if lasting == self._known:
            return
        names = sorted(admin_pb2.SystemProblem.Name(each) for each in lasting)
        _log.warning("system.health problems=%s", ",".join(names) or "none")
        if DATABASE not in lasting:
            event = events_pb2.SystemHealthChanged(replica_id=self._replica_id, problems=names)
            self._tell(self._tenant_id, events_pb2.Event(system_health_changed=event))
        self._known = lasting
