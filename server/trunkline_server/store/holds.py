"""What the ledger answers: a reserved hold, a closed one, one as it stands, and one line of the books."""

from __future__ import annotations

from datetime import datetime
from typing import TypeAlias
from uuid import UUID, uuid5

import msgspec


def moved(hold_id: UUID) -> UUID:
    """The id of the hold on another account that follows this one, when a call goes on at another provider."""
    return uuid5(hold_id, "moved")


class Reserved(msgspec.Struct, frozen=True):
    """Money promised to a call. `state` is `held`, unless an earlier call with the same request id has closed it."""

    hold_id: UUID
    account_id: UUID
    amount: int
    state: str
    available: int


class Hold(msgspec.Struct, frozen=True):
    """A hold as it stands: held -> settled | released | expired. `charged` on an expired one came late."""

    hold_id: UUID
    tenant_id: UUID
    account_id: UUID
    state: str
    amount: int
    charged: int | None
    provider: str
    model: str
    price_version: str
    request_id: str | None
    expires_at: datetime
    created_at: datetime
    closed_at: datetime | None


HoldRef: TypeAlias = Reserved | Hold


class Settled(msgspec.Struct, frozen=True):
    """How a hold was closed, the first time, and the balance of its account now."""

    hold_id: UUID
    state: str
    amount: int
    charged: int
    balance: int

    @property
    def overage(self) -> int:
        """What was charged beyond the hold: only where a provider ignored our cap."""
        return max(0, self.charged - self.amount)

    @property
    def late(self) -> bool:
        """Whether the charge came after the hold had expired."""
        return self.state == "expired" and self.charged > 0


class Entry(msgspec.Struct, frozen=True):
    """One transfer: into the account where `amount` is positive, out of it where negative."""

    id: int
    account_id: UUID
    kind: str  # grant | settle | overage | late_settle | refund | adjust | expire | reprice
    amount: int
    balance_after: int
    hold_id: UUID | None
    request_id: str | None
    reason: str
    created_at: datetime
    of_reservation: bool = False  # `hold_id` is a caller's own reservation, not what a call held
