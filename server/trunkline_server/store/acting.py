"""Who acts: whatever is written to the database meanwhile, its audit says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final
from uuid import UUID

import msgspec

ACTOR: Final[ContextVar[str]] = ContextVar("trunkline_actor", default="")
"""As the triggers of the audit read it; empty: the gateway itself."""


@contextmanager
def acting(*, tenant_id: UUID, principal: str, method: str, request_id: str) -> Iterator[None]:
    """What is written within this is done by them."""
    told = {"tenant_id": str(tenant_id), "principal": principal, "method": method, "request_id": request_id}
    token = ACTOR.set(msgspec.json.encode(told).decode())
    try:
        yield
    finally:
        ACTOR.reset(token)
