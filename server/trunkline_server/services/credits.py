"""CreditService: finds the account that is meant, checks amounts, and speaks to the ledger."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

from google.protobuf.duration_pb2 import Duration

from trunkline.v1 import credits_pb2, usage_pb2
from trunkline_server.core import ids, money
from trunkline_server.core.call import Call
from trunkline_server.core.errors import Reason, TrunklineError, invalid, not_found
from trunkline_server.core.moment import moment_of, timestamp
from trunkline_server.core.page_token import PageTokens
from trunkline_server.core.text import readable
from trunkline_server.store.accounts import ANY, Account, AccountRef, Owner
from trunkline_server.store.holds import Entry, Hold
from trunkline_server.store.ledger import Ledger

TTL_S_DEFAULT: Final = 120

_STATES: Final[Mapping[str, credits_pb2.ReservationState.ValueType]] = {
    "held": credits_pb2.RESERVATION_STATE_HELD,
    "settled": credits_pb2.RESERVATION_STATE_SETTLED,
    "released": credits_pb2.RESERVATION_STATE_RELEASED,
    "expired": credits_pb2.RESERVATION_STATE_EXPIRED,
}
_KINDS: Final[Mapping[str, credits_pb2.LedgerEntryKind.ValueType]] = {
    "grant": credits_pb2.LEDGER_ENTRY_KIND_GRANT,
    "settle": credits_pb2.LEDGER_ENTRY_KIND_CHARGE,
    "overage": credits_pb2.LEDGER_ENTRY_KIND_OVERAGE,
    "late_settle": credits_pb2.LEDGER_ENTRY_KIND_LATE_CHARGE,
    "refund": credits_pb2.LEDGER_ENTRY_KIND_REFUND,
    "adjust": credits_pb2.LEDGER_ENTRY_KIND_ADJUSTMENT,
    "expire": credits_pb2.LEDGER_ENTRY_KIND_EXPIRY,
    "reprice": credits_pb2.LEDGER_ENTRY_KIND_REPRICING,
}


class Selector(Protocol):
    """How every request names an account."""

    account_id: str
    user_id: str
    provider: str
    model: str


@dataclass(frozen=True)
class CreditService:
    """An account is meant in one of two ways: as what a call is charged to, or as exactly the one kept for a model."""

    ledger: Ledger
    tokens: PageTokens

    async def get_balance(self, call: Call, request: credits_pb2.GetBalanceRequest) -> credits_pb2.GetBalanceResponse:
        return credits_pb2.GetBalanceResponse(account=_account(await self._charged(call, request)))

    async def list_accounts(
        self, call: Call, request: credits_pb2.ListAccountsRequest
    ) -> credits_pb2.ListAccountsResponse:
        tenant_id = call.caller.tenant_id
        paging = self.tokens.paging(tenant_id, request)
        owner = Owner.user(tenant_id, readable("user_id", request.user_id)) if request.user_id else None
        after = (datetime.fromisoformat(paging.cursor[0]), UUID(paging.cursor[1])) if paging.cursor else None
        rows = await self.ledger.accounts.list(tenant_id, owner, after, paging.limit)
        page, token = paging.cut(rows, lambda row: (row.created_at.isoformat(), row.id.hex))
        return credits_pb2.ListAccountsResponse(accounts=map(_account, page), next_page_token=token)

    async def grant_credits(
        self, call: Call, request: credits_pb2.GrantCreditsRequest
    ) -> credits_pb2.GrantCreditsResponse:
        nanos = _nanos("amount", request.amount, least=1)
        owner, provider, model = await self._owner(call, request)
        reason = readable("reason", request.reason)
        until = moment_of("expire_time", request.expire_time) if request.HasField("expire_time") else None
        kept_for = {"provider": provider, "model": model}
        entry = await self.ledger.grant(owner, nanos, call.idempotency_key, reason, **kept_for, expires_at=until)
        account = await self.ledger.accounts.get(owner.tenant_id, entry.account_id)
        return credits_pb2.GrantCreditsResponse(account=_account(account))

    async def adjust_credits(
        self, call: Call, request: credits_pb2.AdjustCreditsRequest
    ) -> credits_pb2.AdjustCreditsResponse:
        nanos, reason = _nanos("amount", request.amount, least=-money.INT64_MAX), readable("reason", request.reason)
        account = await self._kept(call, request)
        entry = await self.ledger.adjust(account.tenant_id, account.id, nanos, call.idempotency_key, reason)
        changed = await self.ledger.accounts.get(account.tenant_id, account.id)
        return credits_pb2.AdjustCreditsResponse(account=_account(changed), entry=_entry(entry))

    async def refund_credits(
        self, call: Call, request: credits_pb2.RefundCreditsRequest
    ) -> credits_pb2.RefundCreditsResponse:
        nanos = _nanos("amount", request.amount, least=1) if request.HasField("amount") else None
        tenant_id, reason = call.caller.tenant_id, readable("reason", request.reason)
        hold_id = await self._subject(tenant_id, request.subject_id)
        entry = await self.ledger.refund(tenant_id, hold_id, nanos, call.idempotency_key, reason)
        account = await self.ledger.accounts.get(tenant_id, entry.account_id)
        return credits_pb2.RefundCreditsResponse(account=_account(account), entry=_entry(entry))

    async def update_account(
        self, call: Call, request: credits_pb2.UpdateAccountRequest
    ) -> credits_pb2.UpdateAccountResponse:
        overdraft, low = request.HasField("overdraft_limit"), request.HasField("low_balance")
        overdraft_nanos = _nanos("overdraft_limit", request.overdraft_limit) if overdraft else None
        low_nanos = _nanos("low_balance", request.low_balance) if low else None
        account = await self._kept(call, request)
        changed = await self.ledger.accounts.update(
            account.tenant_id,
            account.id,
            unlimited=request.unlimited if request.HasField("unlimited") else None,
            suspended=request.suspended if request.HasField("suspended") else None,
            overdraft_limit=overdraft_nanos,
            low_balance_nanos=low_nanos,
        )
        return credits_pb2.UpdateAccountResponse(account=_account(changed))

    async def reserve(self, call: Call, request: credits_pb2.ReserveRequest) -> credits_pb2.ReserveResponse:
        nanos = _nanos("amount", request.amount)
        account = await self._charged(call, request)
        reserved = await self.ledger.reserve(
            ids.new_uuid(),
            AccountRef(account.id, account.tenant_id, account.unlimited, account.low_balance_nanos),
            nanos,
            _seconds(request.ttl) if request.HasField("ttl") else TTL_S_DEFAULT,
            provider=readable("provider", request.provider),
            model=readable("model", request.model),
            price_version="",
            request_id=call.idempotency_key,
        )
        hold = await self.ledger.get_hold(account.tenant_id, reserved.hold_id)
        return credits_pb2.ReserveResponse(reservation=_reservation(hold))

    async def settle(self, call: Call, request: credits_pb2.SettleRequest) -> credits_pb2.SettleResponse:
        nanos = _nanos("amount", request.amount)
        hold = await self._hold(call, request.reservation_id)
        await self.ledger.settle(hold, nanos)
        closed = await self._hold(call, request.reservation_id)
        if closed.charged is None:
            raise _closed("released")
        return credits_pb2.SettleResponse(reservation=_reservation(closed))

    async def release(self, call: Call, request: credits_pb2.ReleaseRequest) -> credits_pb2.ReleaseResponse:
        hold = await self._hold(call, request.reservation_id)
        await self.ledger.release(hold)
        closed = await self._hold(call, request.reservation_id)
        if closed.charged is not None:
            raise _closed("settled")
        return credits_pb2.ReleaseResponse(reservation=_reservation(closed))

    async def get_reservation(
        self, call: Call, request: credits_pb2.GetReservationRequest
    ) -> credits_pb2.GetReservationResponse:
        hold = await self._hold(call, request.reservation_id)
        return credits_pb2.GetReservationResponse(reservation=_reservation(hold))

    async def list_ledger_entries(
        self, call: Call, request: credits_pb2.ListLedgerEntriesRequest
    ) -> credits_pb2.ListLedgerEntriesResponse:
        account = await self._kept(call, request)
        paging = self.tokens.paging(account.tenant_id, request, account.id)
        rows = await self.ledger.list_entries(account.tenant_id, account.id, paging.behind, paging.limit)
        page, token = paging.cut(rows, lambda row: (row.id,))
        return credits_pb2.ListLedgerEntriesResponse(entries=map(_entry, page), next_page_token=token)

    async def _charged(self, call: Call, request: Selector) -> Account:
        """The account that a call would be charged to."""
        account_id = _account_id(call, request)
        if account_id is not None:
            return await self.ledger.accounts.get(call.caller.tenant_id, account_id)
        return await self.ledger.accounts.balance(*_asked(call, request))

    async def _kept(self, call: Call, request: Selector) -> Account:
        """The account that is named, and no other in its place."""
        account = await self._charged(call, request)
        _, provider, model = _asked(call, request)
        named = request.provider and not request.account_id
        if named and (account.provider, account.model) != (provider, model):
            raise not_found("account", f"{provider}/{model}")
        return account

    async def _owner(self, call: Call, request: Selector) -> tuple[Owner, str, str]:
        """Whose account for what, whether it is there already or not."""
        account_id = _account_id(call, request)
        if account_id is None:
            return _asked(call, request)
        account = await self.ledger.accounts.get(call.caller.tenant_id, account_id)
        return account.owner, account.provider, account.model

    async def _subject(self, tenant_id: UUID, subject_id: str) -> UUID:
        """The hold of a completion, or of a reservation, by what each is called."""
        completion_id, reservation_id = ids.parse("cmpl", subject_id), ids.parse("resv", subject_id)
        hold_id = completion_id or reservation_id
        hold = await self.ledger.get_hold(tenant_id, hold_id) if hold_id else None
        if hold is None or (hold.request_id is None) != (reservation_id is None):
            raise not_found("charge", subject_id)
        return hold.hold_id

    async def _hold(self, call: Call, reservation_id: str) -> Hold:
        """A reservation of the caller's: what a completion holds is its own."""
        hold_id = ids.parse("resv", reservation_id)
        hold = await self.ledger.get_hold(call.caller.tenant_id, hold_id) if hold_id else None
        if hold is None or hold.request_id is None:
            raise not_found("reservation", reservation_id)
        return hold


def _account_id(call: Call, request: Selector) -> UUID | None:
    """The account that is named by its id: in the request, or, where that names none, in the metadata."""
    silent = not (request.user_id or request.provider or request.model)
    text = request.account_id or (call.account_id if silent else "")
    return ids.require("acct", "account", text) if text else None


def _asked(call: Call, request: Selector) -> tuple[Owner, str, str]:
    """The account that is named by its owner and what it is kept for."""
    tenant_id, user_id = call.caller.tenant_id, readable("user_id", request.user_id) or call.user_id
    owner = Owner.user(tenant_id, user_id) if user_id else Owner.tenant(tenant_id)
    provider, model = readable("provider", request.provider) or ANY, readable("model", request.model) or ANY
    if provider == ANY and model != ANY:
        raise invalid("provider", "is required where a model is given")
    return owner, provider, model


def _nanos(path: str, amount: usage_pb2.Amount, least: int = 0) -> int:
    if amount.unit != money.CREDIT:
        raise invalid(f"{path}.unit", f"must be {money.CREDIT!r}")
    if amount.nanos < least:
        raise invalid(f"{path}.nanos", f"must be at least {least}")
    return amount.nanos


def _seconds(ttl: Duration) -> int:
    return math.ceil(ttl.ToTimedelta().total_seconds())


def _closed(how: str) -> TrunklineError:
    return TrunklineError(Reason.RESERVATION_CLOSED, f"the reservation was {how} already")


def _account(account: Account) -> credits_pb2.Account:
    balance, low = account.balance_nanos, account.low_balance_nanos
    return credits_pb2.Account(
        account_id=ids.spell("acct", account.id),
        user_id=account.owner_id if account.owner_type == "user" else "",
        provider="" if account.provider == ANY else account.provider,
        model="" if account.model == ANY else account.model,
        balance=money.credits(balance),
        held=money.credits(account.held),
        available=None if account.unlimited else money.credits(account.available_nanos),
        unlimited=account.unlimited,
        overdraft_limit=money.credits(account.overdraft_limit),
        suspended=account.suspended,
        low_balance=money.credits(low) if low else None,
        is_low=low > 0 and balance < low,
        create_time=timestamp(account.created_at),
        credits_expire_time=timestamp(account.lapse_at) if account.lapse_at else None,
    )


def _reservation(hold: Hold) -> credits_pb2.Reservation:
    return credits_pb2.Reservation(
        reservation_id=ids.spell("resv", hold.hold_id),
        account_id=ids.spell("acct", hold.account_id),
        amount=money.credits(hold.amount),
        state=_STATES[hold.state],
        charge=None if hold.charged is None else money.credits(hold.charged),
        create_time=timestamp(hold.created_at),
        expire_time=timestamp(hold.expires_at),
    )


def _entry(entry: Entry) -> credits_pb2.LedgerEntry:
    kind = "resv" if entry.of_reservation else "cmpl"
    return credits_pb2.LedgerEntry(
        entry_id=f"tran_{entry.id:016x}",
        account_id=ids.spell("acct", entry.account_id),
        kind=_KINDS.get(entry.kind, credits_pb2.LEDGER_ENTRY_KIND_UNSPECIFIED),
        amount=money.credits(entry.amount),
        subject_id=ids.spell(kind, entry.hold_id) if entry.hold_id else "",
        reason=entry.reason,
        create_time=timestamp(entry.created_at),
    )
