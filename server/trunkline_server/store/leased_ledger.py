"""The ledger as a running job sees it: its money moves only with its lease, and its bill is written with its end.

Within `paying`, what a call reserves is written together with the proof that the lease is still the worker's, and what
it settles is put on the tab, for the statement that ends the attempt. Everybody else gets the ledger as it is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import reduce
from typing import Any
from uuid import UUID

from trunkline.v1 import usage_pb2
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.usage import added
from trunkline_server.store.accounts import AccountRef
from trunkline_server.store.holds import HoldRef, Reserved, Settled
from trunkline_server.store.job import Changed, JobChange
from trunkline_server.store.lane import Op
from trunkline_server.store.ledger import Ledger, reserved
from trunkline_server.store.usage import UsageRow


@dataclass(slots=True)
class Tab:
    """What one attempt at a job has reserved, and what it owes."""

    job_id: UUID
    lease_token: int
    hold_id: UUID
    hold_account: UUID
    ttl_s: int
    write: Callable[[JobChange], Awaitable[Changed]]
    held: Op | None = None
    """The reservation that this attempt made for itself; None while that of the order stands."""
    owed: list[Op] = field(default_factory=list)
    rows: list[UsageRow] = field(default_factory=list)
    """What each call used, those that failed too."""
    is_lost: bool = False

    @property
    def is_closed(self) -> bool:
        """What is held now is on the tab."""
        return any(op.hold_id == self.hold_id for op in self.owed)

    @property
    def charge_nanos(self) -> int:
        return sum(op.amount for op in self.owed if op.target == "settled")

    @property
    def usage(self) -> usage_pb2.Usage | None:
        """What all calls used together."""
        return reduce(added, (row.message() for row in self.rows)) if self.rows else None

    async def reserve(self, op: Op) -> Reserved:
        """Puts a reservation in place of the one before, with the proof of the lease."""
        before = Op("released", self.hold_id, self.hold_account, 0, 0)
        ops = (op,) if self.is_closed else (before, op)
        self.hold_id, self.hold_account, self.held = op.hold_id, op.account_id, op
        changed = await self._write(ops, op.hold_id, op.account_id)
        return reserved(op, str(changed.verdict), op.hold_id, op.amount, changed.available or 0)

    async def extend(self, op: Op) -> Reserved:
        """Raises it, with the proof of the lease."""
        changed = await self._write((op,))
        return reserved(op, str(changed.verdict), op.hold_id, op.amount, changed.available or 0)

    def close(self, op: Op, usage: UsageRow | None) -> Settled:
        """Writes it on the tab. What was given up for another reservation is freed already."""
        if op.hold_id == self.hold_id and not self.is_closed:
            self.owed.append(op)
            if usage is not None:
                self.rows.append(usage)
        return Settled(op.hold_id, op.target, op.amount, op.amount, 0)

    def change(self, target: str, again: Op | None = None, **facts: object) -> JobChange:
        """The change that ends the attempt, with all that is owed; `again` is reserved for the next one."""
        usage = self.usage
        return JobChange(
            id=self.job_id,
            lease_token=self.lease_token,
            target=target,
            ops=[*self.owed, again] if again else self.owed,
            usage=usage.SerializeToString() if usage else None,
            cost_nano_usd=sum(row.cost_nano_usd for row in self.rows),
            charge_nanos=self.charge_nanos,
            **facts,  # type: ignore[arg-type]
        )

    async def _write(self, ops: tuple[Op, ...], hold_id: UUID | None = None, account: UUID | None = None) -> Changed:
        change = JobChange(
            id=self.job_id, lease_token=self.lease_token, target="money", ops=ops, hold_id=hold_id, hold_account=account
        )
        changed = await self.write(change)
        if not changed.fenced:
            self.is_lost = True
            raise TrunklineError(Reason.CANCELLED, "another worker has the job now")
        return changed


_TAB: ContextVar[Tab | None] = ContextVar("trunkline_tab", default=None)


@contextmanager
def apart() -> Iterator[None]:
    """Whatever this task calls is paid by itself, job or not, and at once."""
    token = _TAB.set(None)
    try:
        yield
    finally:
        _TAB.reset(token)


@contextmanager
def paying(tab: Tab) -> Iterator[None]:
    """Whatever this task calls is paid by the job."""
    token = _TAB.set(tab)
    try:
        yield
    finally:
        _TAB.reset(token)


class LeasedLedger(Ledger):
    """A ledger that jobs may use too."""

    def reserve(
        self,
        hold_id: UUID,
        account: AccountRef,
        amount: int,
        ttl_s: int,
        *,
        provider: str,
        model: str,
        price_version: str,
        request_id: str = "",
    ) -> Coroutine[Any, Any, Reserved]:
        tab = _TAB.get()
        if tab is not None:
            return tab.reserve(Op("held", hold_id, account.id, amount, tab.ttl_s, provider, model, price_version))
        return super().reserve(
            hold_id,
            account,
            amount,
            ttl_s,
            provider=provider,
            model=model,
            price_version=price_version,
            request_id=request_id,
        )

    async def extend(self, hold: HoldRef, more: int, ttl_s: int = 0) -> Reserved:
        tab = _TAB.get()
        if tab is not None:
            return await tab.extend(Op("extended", hold.hold_id, hold.account_id, hold.amount + more, ttl_s))
        return await super().extend(hold, more, ttl_s)

    async def settle(self, hold: HoldRef, charge: int, usage: UsageRow | None = None) -> Settled:
        tab = _TAB.get()
        if tab is not None:
            return tab.close(Op("settled", hold.hold_id, hold.account_id, charge, 0, usage=usage), usage)
        return await super().settle(hold, charge, usage)

    async def release(self, hold: HoldRef, usage: UsageRow | None = None) -> Settled:
        tab = _TAB.get()
        if tab is not None:
            return tab.close(Op("released", hold.hold_id, hold.account_id, 0, 0, usage=usage), usage)
        return await super().release(hold, usage)
