"""Accounts: who owns one, which one a call is charged to, and what an operator may change about it."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, Self
from uuid import UUID

import msgspec
from asyncpg import Record

from trunkline_server.core import ids
from trunkline_server.core.errors import not_found
from trunkline_server.core.money import INT64_MAX
from trunkline_server.store import queries
from trunkline_server.store.database import Database

_SQL = queries.load(__file__)

ANY = "*"
CHANNEL = "trunkline_accounts"
OWNERS_CACHED_MAX = 50_000


class Owner(NamedTuple):
    """Whose money: a tenant's own, or that of one of its users."""

    tenant_id: UUID
    type: str  # tenant | user
    id: str

    @classmethod
    def tenant(cls, tenant_id: UUID) -> Self:
        return cls(tenant_id, "tenant", str(tenant_id))

    @classmethod
    def user(cls, tenant_id: UUID, user_id: str) -> Self:
        return cls(tenant_id, "user", user_id)


class AccountRef(msgspec.Struct, frozen=True):
    """What a call needs to know of an account; balances are asked of the ledger."""

    id: UUID
    tenant_id: UUID
    unlimited: bool
    low_balance_nanos: int


class Account(msgspec.Struct, frozen=True):
    """An account as it stands. `posted_credit - posted_debit` is its balance, `held` is promised to running calls."""

    id: UUID
    tenant_id: UUID
    owner_type: str
    owner_id: str
    provider: str
    model: str
    unlimited: bool
    suspended: bool
    overdraft_limit: int
    low_balance_nanos: int
    posted_credit: int
    posted_debit: int
    held: int
    overrun: int
    version: int
    created_at: datetime
    lapse_at: datetime | None = None
    """When the first of its credits with an end are over."""

    @property
    def owner(self) -> Owner:
        return Owner(self.tenant_id, self.owner_type, self.owner_id)

    @property
    def balance_nanos(self) -> int:
        return self.posted_credit - self.posted_debit

    @property
    def available_nanos(self) -> int:
        """What a hold may take; of no meaning for an unlimited account."""
        return min(self.balance_nanos - self.held + self.overdraft_limit, INT64_MAX)


class NewAccounts(NamedTuple):
    """What an account starts with when its owner is first seen."""

    user_grant_nanos: int
    tenant_unlimited: bool = True

    def unlimited(self, owner: Owner) -> bool:
        return owner.type == "tenant" and self.tenant_unlimited

    def grant_nanos(self, owner: Owner) -> int:
        return self.user_grant_nanos if owner.type == "user" else 0


class Accounts:
    """Finds accounts, from memory where it can: announcements on `trunkline_accounts` keep that fresh."""

    def __init__(self, database: Database, new: NewAccounts) -> None:
        self._database = database
        self._new = new
        self._cached: dict[Owner, dict[tuple[str, str], AccountRef]] = {}
        self._generation = 0

    async def follow(self) -> None:
        """Starts to hear of changes that other processes make."""
        await self._database.listen(CHANNEL, self._heard)

    async def account_for(self, owner: Owner, provider: str, model: str) -> AccountRef:
        """The account that a call is charged to: (provider, model), else (provider, *), else (*, *), which is made when
        the owner is first seen."""
        found = self._cached.get(owner)
        ref = None if found is None else found.get((provider, model))
        return ref or await self._resolve(owner, provider, model)

    async def open(self, owner: Owner, provider: str = ANY, model: str = ANY) -> Account:
        """Exactly this account, made where it is missing."""
        account = await self._find(owner, provider, model)
        if account is None or (account.provider, account.model) != (provider, model):
            account = await self._open(owner, provider, model)
            self._forget(owner)
        return account

    async def balance(self, owner: Owner, provider: str = ANY, model: str = ANY) -> Account:
        """The account that a call would be charged to, as it stands now."""
        ref = await self._resolve(owner, provider, model)
        return await self.get(ref.tenant_id, ref.id)

    async def get(self, tenant_id: UUID, account_id: UUID) -> Account:
        """Raises RESOURCE_NOT_FOUND, also for another tenant's."""
        return _account(await self._database.fetchrow(_SQL.get, tenant_id, account_id), ids.spell("acct", account_id))

    async def list(
        self, tenant_id: UUID, owner: Owner | None = None, after: tuple[datetime, UUID] | None = None, limit: int = 50
    ) -> list[Account]:
        """Oldest first; `after` is (created_at, id) of the last one seen."""
        type_, id_ = (owner.type, owner.id) if owner else (None, None)
        rows = await self._database.fetch(_SQL.list, tenant_id, type_, id_, *(after or (None, None)), limit)
        return [Account(*row) for row in rows]

    async def update(
        self,
        tenant_id: UUID,
        account_id: UUID,
        *,
        unlimited: bool | None = None,
        suspended: bool | None = None,
        overdraft_limit: int | None = None,
        low_balance_nanos: int | None = None,
    ) -> Account:
        """Changes what is given. Beyond a lowered limit nothing is taken away; further holds are refused."""
        change = (unlimited, suspended, overdraft_limit, low_balance_nanos)
        row = await self._database.fetchrow(_SQL.update, tenant_id, account_id, *change)
        account = _account(row, ids.spell("acct", account_id))
        self._forget(account.owner)
        return account

    async def _resolve(self, owner: Owner, provider: str, model: str) -> AccountRef:
        generation = self._generation
        account = await self._find(owner, provider, model) or await self._open(owner, ANY, ANY)
        ref = AccountRef(account.id, account.tenant_id, account.unlimited, account.low_balance_nanos)
        if generation == self._generation:
            self._remember(owner, (provider, model), ref)
        return ref

    async def _find(self, owner: Owner, provider: str, model: str) -> Account | None:
        row = await self._database.fetchrow(_SQL.resolve, *owner, provider, model)
        return None if row is None else Account(*row)

    async def _open(self, owner: Owner, provider: str, model: str) -> Account:
        grant_nanos = self._new.grant_nanos(owner) if (provider, model) == (ANY, ANY) else 0
        asked = (*owner, provider, model, self._new.unlimited(owner), grant_nanos)
        return _account(await self._database.fetchrow(_SQL.open, *asked), owner.id)

    def _remember(self, owner: Owner, asked: tuple[str, str], ref: AccountRef) -> None:
        if len(self._cached) >= OWNERS_CACHED_MAX:
            self._cached.clear()
        self._cached.setdefault(owner, {})[asked] = ref

    def _forget(self, owner: Owner) -> None:
        self._generation += 1
        self._cached.pop(owner, None)

    def _heard(self, payload: str | None) -> None:
        if payload is None:
            self._generation += 1
            self._cached.clear()
            return
        tenant, type_, id_ = payload.split("/", 2)
        self._forget(Owner(UUID(tenant), type_, id_))


def _account(row: Record | None, name: str) -> Account:
    if row is None:
        raise not_found("account", name)
    return Account(*row)
