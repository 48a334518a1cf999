"""ProviderService: which providers there are and how they do, their breakers, and tenants' own accounts there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID

from trunkline.v1 import providers_pb2
from trunkline_server.core import ids
from trunkline_server.core.call import Call, Caller
from trunkline_server.core.errors import Reason, draining, invalid, not_found
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.moment import timestamp
from trunkline_server.core.page_token import PageTokens
from trunkline_server.core.text import readable
from trunkline_server.gateway import refusals
from trunkline_server.gateway.line import Trunk
from trunkline_server.gateway.lines import Lines
from trunkline_server.gateway.own_accounts import OwnAccounts
from trunkline_server.gateway.reports import breaker_of, health_of
from trunkline_server.providers.provider import Upstream
from trunkline_server.providers.registry import Listed, Registry
from trunkline_server.store.news import heard
from trunkline_server.store.page import Page
from trunkline_server.store.provider_accounts import Actor, ProviderAccount, ProviderAccounts

LOOK_S: Final = 1.0
"""How often numbers are looked at for watchers; a breaker that changes is told at once."""
GATEWAY_SCOPE: Final = "admin:breakers"
"""Takes a hand on breakers that count for all tenants."""
TEST_REPLY_S: Final = 0.5
"""What is left of a call's time, when a provider that does not answer has failed its test."""


@dataclass(frozen=True)
class ProviderService:
    """Neither a key nor an address ever stands in an answer."""

    registry: Registry
    lines: Lines
    tokens: PageTokens
    accounts: ProviderAccounts
    own: OwnAccounts
    draining: Callable[[], bool]

    async def list_providers(
        self, call: Call, request: providers_pb2.ListProvidersRequest
    ) -> providers_pb2.ListProvidersResponse:
        paging = self.tokens.paging(call.caller.tenant_id, request)
        rows = [each for each in self.registry.listing() if not paging.cursor or each.name > paging.cursor[0]]
        page, token = paging.cut(rows, lambda each: (each.name,))
        providers = [self._provider(call.caller, each) for each in page]
        return providers_pb2.ListProvidersResponse(providers=providers, next_page_token=token)

    async def get_provider(
        self, call: Call, request: providers_pb2.GetProviderRequest
    ) -> providers_pb2.GetProviderResponse:
        return providers_pb2.GetProviderResponse(provider=self._provider(call.caller, self._listed(request.name)))

    async def test_provider(
        self, call: Call, request: providers_pb2.TestProviderRequest
    ) -> providers_pb2.TestProviderResponse:
        upstream = await self._tested_upstream(call, self._listed(request.name).name, request.account_id)
        loop = asyncio.get_running_loop()
        began = loop.time()
        response = await _tested(upstream, call.deadline - TEST_REPLY_S)
        if not request.account_id:
            self.lines.trunk(upstream.name).health.tested(response.failure_kind)
        response.duration.FromTimedelta(timedelta(seconds=loop.time() - began))
        return response

    async def create_provider_account(
        self, call: Call, request: providers_pb2.CreateProviderAccountRequest
    ) -> providers_pb2.CreateProviderAccountResponse:
        upstream = self._with_key(self._listed(request.provider).name, request.api_key)
        if request.test_first:
            await _require_taken(upstream, call)
        created = await self.accounts.create(
            _actor(call),
            request.provider,
            readable("name", request.name),
            request.api_key,
            make_default=request.make_default,
        )
        await self.own.refresh()
        return providers_pb2.CreateProviderAccountResponse(account=_account(created))

    async def list_provider_accounts(
        self, call: Call, request: providers_pb2.ListProviderAccountsRequest
    ) -> providers_pb2.ListProviderAccountsResponse:
        paging = self.tokens.paging(call.caller.tenant_id, request)
        rows = await self.accounts.list(call.caller.tenant_id, Page.of(paging))
        page, token = paging.cut(rows, lambda row: (row.create_time.isoformat(), row.account_id.hex))
        return providers_pb2.ListProviderAccountsResponse(accounts=map(_account, page), next_page_token=token)

    async def rotate_provider_account(
        self, call: Call, request: providers_pb2.RotateProviderAccountRequest
    ) -> providers_pb2.RotateProviderAccountResponse:
        found = await self._own_account(call, request.account_id)
        if request.test_first:
            await _require_taken(self._with_key(found.provider, request.api_key), call)
        rotated = await self.accounts.rotate(_actor(call), found.account_id, request.api_key)
        self.own.forget()
        return providers_pb2.RotateProviderAccountResponse(account=_account(rotated))

    async def set_default_provider_account(
        self, call: Call, request: providers_pb2.SetDefaultProviderAccountRequest
    ) -> providers_pb2.SetDefaultProviderAccountResponse:
        account = await self.accounts.set_default(_actor(call), _account_id(request.account_id))
        await self.own.refresh()
        return providers_pb2.SetDefaultProviderAccountResponse(account=_account(account))

    async def delete_provider_account(
        self, call: Call, request: providers_pb2.DeleteProviderAccountRequest
    ) -> providers_pb2.DeleteProviderAccountResponse:
        await self.accounts.delete(_actor(call), _account_id(request.account_id))
        self.own.forget()
        await self.own.refresh()
        return providers_pb2.DeleteProviderAccountResponse()

    async def watch_provider_health(
        self, call: Call, request: providers_pb2.WatchProviderHealthRequest
    ) -> AsyncGenerator[providers_pb2.WatchProviderHealthResponse, None]:
        names = [self._listed(name).name for name in request.names] or list(self.registry.enabled)
        watch = _Watch(self.lines, names)
        with self.lines.watched() as news:
            while not self.draining():
                news.clear()
                for told in watch.changes():
                    yield providers_pb2.WatchProviderHealthResponse(health=told)
                await heard(news, LOOK_S)
        raise draining()

    async def reset_breaker(
        self, call: Call, request: providers_pb2.ResetBreakerRequest
    ) -> providers_pb2.ResetBreakerResponse:
        gate = self.lines.reset(request.name, self._owner(call.caller, request))
        return providers_pb2.ResetBreakerResponse(breaker=breaker_of(gate, self.lines.clock()))

    async def open_breaker(
        self, call: Call, request: providers_pb2.OpenBreakerRequest
    ) -> providers_pb2.OpenBreakerResponse:
        owner = self._owner(call.caller, request)
        provider, _, model = request.name.partition("/")
        if model:  # also before its first call
            self.lines.line(provider, model, owner)
        gate = self.lines.hold_open(request.name, owner)
        return providers_pb2.OpenBreakerResponse(breaker=breaker_of(gate, self.lines.clock()))

    def _owner(
        self, caller: Caller, request: providers_pb2.ResetBreakerRequest | providers_pb2.OpenBreakerRequest
    ) -> UUID | None:
        """Whose breaker is meant, whose provider then has one. Raises RESOURCE_NOT_FOUND, FIELD_FORBIDDEN."""
        provider = self._listed(request.name.partition("/")[0]).name
        if request.own:
            return self._own_trunk(caller, provider, request.name)
        if not caller.may(GATEWAY_SCOPE):
            raise invalid("own", f"your key lacks {GATEWAY_SCOPE!r}: reset your own", Reason.FIELD_FORBIDDEN)
        self.lines.trunk(provider)
        return None

    def _own_trunk(self, caller: Caller, provider: str, name: str) -> UUID:
        if not self.own.has(caller.tenant_id, provider):
            raise not_found("breaker", name)
        self.lines.own_trunk(provider, caller.tenant_id)
        return caller.tenant_id

    async def _tested_upstream(self, call: Call, provider: str, account: str) -> Upstream:
        """The gateway's own way, or that of a tenant's account, whose use is noted."""
        if not account:
            return self.registry.upstream(provider)
        found = await self._own_account(call, account)
        if found.provider != provider:
            raise not_found("provider_account", account)
        await self.accounts.note_use(_actor(call), found.account_id)
        return self.own.upstream(found.tenant_id, provider, found.account_id)

    async def _own_account(self, call: Call, account: str) -> ProviderAccount:
        return await self.accounts.get(call.caller.tenant_id, _account_id(account))

    def _with_key(self, provider: str, api_key: str) -> Upstream:
        async def read_key() -> str:
            return api_key

        return self.registry.keyed(provider, read_key)

    def _listed(self, name: str) -> Listed:
        listed = self.registry.find(name)
        if listed is None:
            raise not_found("provider", name)
        return listed

    def _provider(self, caller: Caller, listed: Listed) -> providers_pb2.Provider:
        own = self.own.has(caller.tenant_id, listed.name)
        return providers_pb2.Provider(
            name=listed.name,
            wire=listed.dialect,
            enabled=listed.enabled,
            disabled_reason=listed.missing,
            capabilities=sorted(listed.capabilities),
            health=self._health(self.lines.trunk(listed.name)) if listed.enabled else None,
            own_health=self._health(self.lines.own_trunk(listed.name, caller.tenant_id)) if own else None,
        )

    def _health(self, trunk: Trunk) -> providers_pb2.ProviderHealth:
        return health_of(trunk, self.lines.clock())


@dataclass
class _Watch:
    """What one watcher was told last."""

    lines: Lines
    names: Sequence[str]
    told: dict[str, providers_pb2.ProviderHealth] = field(default_factory=dict)

    def changes(self) -> Iterator[providers_pb2.ProviderHealth]:
        for name in self.names:
            health = health_of(self.lines.trunk(name), self.lines.clock())
            if self.told.get(name) != health:
                self.told[name] = health
                yield health


async def _tested(upstream: Upstream, deadline: float) -> providers_pb2.TestProviderResponse:
    try:
        async with asyncio.timeout_at(deadline):
            models = await upstream.models()
    except UpstreamFailure as failure:
        return _failed(failure)
    except TimeoutError:
        return _failed(UpstreamFailure(FailureKind.TIMEOUT_FIRST_TOKEN))
    return providers_pb2.TestProviderResponse(ok=True, model_count=len(models))


async def _require_taken(upstream: Upstream, call: Call) -> None:
    """Raises BYOK_INVALID where the provider refuses the key; what else it fails at says nothing about the key."""
    told = await _tested(upstream, call.deadline - TEST_REPLY_S)
    if told.failure_kind == FailureKind.AUTH.value:
        raise refusals.byok_invalid()


def _failed(failure: UpstreamFailure) -> providers_pb2.TestProviderResponse:
    return providers_pb2.TestProviderResponse(failure_kind=failure.kind.value, http_status=failure.http_status or 0)


def _account(account: ProviderAccount) -> providers_pb2.ProviderAccount:
    return providers_pb2.ProviderAccount(
        account_id=ids.spell("pacc", account.account_id),
        provider=account.provider,
        name=account.name,
        is_default=account.is_default,
        create_time=timestamp(account.create_time),
        rotate_time=timestamp(account.rotate_time),
    )


def _account_id(text: str) -> UUID:
    return ids.require("pacc", "provider_account", text)


def _actor(call: Call) -> Actor:
    return Actor(call.caller.tenant_id, call.caller.principal, call.request_id)
