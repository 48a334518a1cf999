"""The credits ledger: money is held before a call, the charge is posted after it, and no race, retry or crash can spend
more than there is, charge twice, or lose a charge.

All decisions are taken by the database, in the functions of the migrations; this room words the questions
and the answers. Amounts are nano-credits.
"""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from trunkline_server.core import ids
from trunkline_server.core.errors import QuotaViolation, Reason, TrunklineError, invalid, not_found
from trunkline_server.core.money import INT64_MAX, to_decimal_text
from trunkline_server.store import queries, reconciliation
from trunkline_server.store.accounts import ANY, AccountRef, Accounts, NewAccounts, Owner
from trunkline_server.store.committer import CommitSettings, Committer
from trunkline_server.store.database import Database
from trunkline_server.store.holds import Entry, Hold, HoldRef, Reserved, Settled, moved
from trunkline_server.store.lane import Op, Outcome
from trunkline_server.store.posting import Posting, post
from trunkline_server.store.reconciliation import Finding
from trunkline_server.store.usage import UsageRow

_SQL = queries.load(__file__)
_STATES = frozenset(("held", "settled", "released", "expired"))


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """What new accounts start with, and how operations are committed."""

    new_accounts: NewAccounts
    commit: CommitSettings = field(default_factory=CommitSettings)


class Ledger:
    """Reserve, settle, release; grant, refund, adjust. `accounts` says whose money it is.

    `expired_count`: holds that this process has freed because their time was over.
    """

    def __init__(self, database: Database, accounts: Accounts, committer: Committer) -> None:
        self.accounts = accounts
        self._database = database
        self._committer = committer
        self.expired_count = 0

    @classmethod
    async def open(cls, database: Database, settings: LedgerSettings) -> Self:
        """Needs no live database yet."""
        committer = await Committer.open(database, settings.commit)
        return cls(database, Accounts(database, settings.new_accounts), committer)

    @property
    def waiting_count(self) -> int:
        """Operations that wait for the database."""
        return self._committer.waiting_count

    async def close(self) -> None:
        """Finishes what is queued. Before the database is closed."""
        await self._committer.close()

    async def reserve(
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
    ) -> Reserved:
        """Holds `amount` until it is settled, released, or `ttl_s` have passed.

        Raises CREDIT_INSUFFICIENT, ACCOUNT_SUSPENDED, STORE_UNAVAILABLE. Repeated with the same `hold_id` or
        `request_id` it returns the first hold, or raises IDEMPOTENCY_KEY_REUSED if the rest differs. A caller who is
        cancelled, or told STORE_UNAVAILABLE, holds nothing: a release follows what may have been sent (with a
        `request_id` the hold stays for the repeated call, and expires if none comes).
        """
        _at_least(0, amount, "amount")
        op = Op("held", hold_id, account.id, amount, ttl_s, provider, model, price_version, request_id or None)
        future = self._committer.put(op)
        try:
            outcome = await future
        except BaseException:
            if not request_id:
                self._take_back(op)
            raise
        return _reserved(outcome, op)

    async def extend(self, hold: HoldRef, more: int, ttl_s: int = 0) -> Reserved:
        """Adds `more` to a hold and keeps it for at least `ttl_s` from now: for tool rounds and for jobs that live on.

        Raises as `reserve` does, and RESERVATION_CLOSED. Give the hold last returned: its amount makes a repeated
        call harmless.
        """
        _at_least(0, more, "more")
        op = Op("extended", hold.hold_id, hold.account_id, hold.amount + more, ttl_s)
        reserved = _reserved(await self._committer.put(op), op)
        if reserved.state != "held":
            raise TrunklineError(Reason.RESERVATION_CLOSED, f"the reservation is {reserved.state} already")
        return reserved

    def settle(self, hold: HoldRef, charge: int, usage: UsageRow | None = None) -> Coroutine[Any, Any, Settled]:
        """Posts `charge` and frees the rest, once: later calls return the first outcome.

        What exceeds the hold is posted as overage; after expiry all of it as late settlement. Once called it is
        applied, even when the caller leaves, or is told STORE_UNAVAILABLE because the database is away for long.
        """
        _at_least(0, charge, "charge")
        return self._close(Op("settled", hold.hold_id, hold.account_id, charge, 0, usage=usage))

    def release(self, hold: HoldRef, usage: UsageRow | None = None) -> Coroutine[Any, Any, Settled]:
        """Frees the whole hold, once; like `settle` it is applied even if the caller leaves."""
        return self._close(Op("released", hold.hold_id, hold.account_id, 0, 0, usage=usage))

    async def expire_due(self, limit: int = 500) -> int:
        """Frees holds whose time is over by the database's clock, and says how many; for a sweeper."""
        due = await self._database.fetch(_SQL.due, limit)
        waiting = [self._committer.put(Op("expired", row["id"], row["account_id"], 0, 0)) for row in due]
        expired: int = sum([(await future)["verdict"] == "expired" for future in waiting])
        self.expired_count += expired
        return expired

    async def grant(
        self,
        owner: Owner,
        amount: int,
        request_id: str,
        reason: str = "",
        *,
        provider: str = ANY,
        model: str = ANY,
        expires_at: datetime | None = None,
    ) -> Entry:
        """Credits an account, made where missing, once per `request_id`. Raises BALANCE_OVERFLOW.

        What is left of credits with an end is moved out then; they are spent before those without one.
        """
        _at_least(1, amount, "amount")
        account = await self.accounts.open(owner, provider, model)
        posting = Posting(owner.tenant_id, account.id, "grant", amount, request_id, reason, expires_at=expires_at)
        return await post(self._database, posting)

    async def adjust(self, tenant_id: UUID, account_id: UUID, amount: int, request_id: str, reason: str) -> Entry:
        """An operator's correction, up or down, past the limit if need be; once per `request_id`."""
        if amount == 0:
            raise invalid("amount", "must not be zero")
        return await post(self._database, Posting(tenant_id, account_id, "adjust", amount, request_id, reason))

    async def refund(
        self, tenant_id: UUID, hold_id: UUID, amount: int | None, request_id: str, reason: str = ""
    ) -> Entry:
        """Gives back part of a charge, or all that is left of it (None), once per `request_id`; all refunds together
        are no more than the charge. What comes back has no end."""
        if amount is not None:
            _at_least(1, amount, "amount")
        hold = await self.get_hold(tenant_id, hold_id)
        posting = Posting(tenant_id, hold.account_id, "refund", amount, request_id, reason, hold.hold_id)
        return await post(self._database, posting)

    async def get_hold(self, tenant_id: UUID, hold_id: UUID) -> Hold:
        """The hold, or the one that it was moved to. Raises RESOURCE_NOT_FOUND, also for another tenant's."""
        hold = await self._find_hold(tenant_id, hold_id)
        if hold is None:
            raise not_found("reservation", str(hold_id))
        while hold.state == "released" and (later := await self._find_hold(tenant_id, moved(hold.hold_id))):
            hold = later
        return hold

    async def _find_hold(self, tenant_id: UUID, hold_id: UUID) -> Hold | None:
        row = await self._database.fetchrow(_SQL.get_hold, tenant_id, hold_id)
        return None if row is None else Hold(*row)

    async def list_entries(
        self, tenant_id: UUID, account_id: UUID, before: int | None = None, limit: int = 50
    ) -> list[Entry]:
        """Newest first; `before` is the id of the last one seen."""
        rows = await self._database.fetch(_SQL.list_entries, tenant_id, account_id, before or INT64_MAX, limit)
        return [Entry(*row) for row in rows]

    async def audit(self) -> list[Finding]:
        """What does not add up in the books; an empty list is the good answer."""
        return await reconciliation.audit(self._database)

    def _take_back(self, op: Op) -> None:
        """Follows a hold that nobody will use; at the very end it is left to expire."""
        with suppress(TrunklineError):
            self._committer.put(Op("released", op.hold_id, op.account_id, 0, 0))

    async def _close(self, op: Op) -> Settled:
        outcome = await self._committer.put(op)
        if outcome["verdict"] not in _STATES:
            raise not_found("reservation", str(op.hold_id))
        _, verdict, hold_id, amount, charged, balance, *_ = outcome
        return Settled(hold_id, verdict, amount, charged or 0, balance)


def reserved(op: Op, verdict: str, hold_id: UUID, amount: int, available: int) -> Reserved:
    """What the ledger said to a reservation, or the refusal raised."""
    if verdict in _STATES:
        return Reserved(hold_id, op.account_id, amount, verdict, available)
    raise _refused_hold(verdict, op, available)


def _reserved(outcome: Outcome, op: Op) -> Reserved:
    _, verdict, hold_id, amount, _, _, available = outcome
    return reserved(op, verdict, hold_id, amount, available)


def _refused_hold(verdict: str, op: Op, available: int) -> TrunklineError:
    match verdict:
        case "insufficient":
            return _insufficient(op, available)
        case "suspended":
            return TrunklineError(Reason.ACCOUNT_SUSPENDED, "the account is suspended")
        case "reused":
            return TrunklineError(Reason.IDEMPOTENCY_KEY_REUSED, "the request id was used for another reservation")
        case _:
            if op.target == "extended":
                return not_found("reservation", ids.spell("resv", op.hold_id))
            return not_found("account", ids.spell("acct", op.account_id))


def _insufficient(op: Op, available: int) -> TrunklineError:
    needed_text, available_text = to_decimal_text(op.amount), to_decimal_text(available)
    told = f"needed {needed_text}, available {available_text}"
    return TrunklineError(
        Reason.CREDIT_INSUFFICIENT,
        f"the call may need {needed_text} credits, {available_text} are available",
        quota=(QuotaViolation(f"account:{ids.spell('acct', op.account_id)}", told),),
        metadata={"neededNanos": str(op.amount), "availableNanos": str(available)},
    )


def _at_least(minimum: int, amount: int, path: str) -> None:
    if amount < minimum:
        raise invalid(path, f"must be at least {minimum}")
