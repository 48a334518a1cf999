"""Breakers as events: that one opened, and that it closed again. Probes between are not told."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from pybreaker import STATE_CLOSED, STATE_OPEN

from trunkline.v1 import events_pb2
from trunkline_server.gateway import breaker_names
from trunkline_server.store.outbox import EVERYONE


class BreakerNews:
    """`tell` takes the events."""

    def __init__(self, tell: Callable[[UUID, events_pb2.Event], None]) -> None:
        self._tell = tell
        self._open: set[str] = set()

    def turned(self, name: str, state: str) -> None:
        """A breaker came into a state."""
        tenant_id, shown = _whose(name)
        if state == STATE_OPEN and name not in self._open:
            self._open.add(name)
            self._tell(tenant_id, events_pb2.Event(breaker_opened=events_pb2.BreakerOpened(name=shown)))
        elif state == STATE_CLOSED and name in self._open:
            self._open.discard(name)
            self._tell(tenant_id, events_pb2.Event(breaker_closed=events_pb2.BreakerClosed(name=shown)))


def _whose(name: str) -> tuple[UUID, str]:
    """Of a tenant's own account it is nobody else's business."""
    shown, owner = breaker_names.read(name)
    return owner or EVERYONE, shown
