"""ProviderService: which providers there are, which are on, whether one answers, and how all of them do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from trunkline.v1 import providers_pb2
from trunkline_server.core.call import Call
from trunkline_server.core.errors import Reason, TrunklineError, not_found
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.page_token import PageTokens
from trunkline_server.gateway.breakers import Gate
from trunkline_server.gateway.lines import Lines
from trunkline_server.gateway.reports import breaker_of, health_of
from trunkline_server.providers.provider import Upstream
from trunkline_server.providers.registry import Listed, Registry

LOOK_S: Final = 1.0
"""How often numbers are looked at for watchers; a breaker that changes is told at once."""
TEST_REPLY_S: Final = 0.5
"""What is left of a call's time, when a provider that does not answer has failed its test."""


@dataclass(frozen=True)
class ProviderService:
    """Neither a key nor an address ever stands in an answer."""

    registry: Registry
    lines: Lines
    tokens: PageTokens
    draining: Callable[[], bool]

    async def list_providers(
        self, call: Call, request: providers_pb2.ListProvidersRequest
    ) -> providers_pb2.ListProvidersResponse:
        paging = self.tokens.paging(call.caller.tenant_id, request)
        rows = [each for each in self.registry.listing() if not paging.cursor or each.name > paging.cursor[0]]
        page, token = paging.cut(rows, lambda each: (each.name,))
        return providers_pb2.ListProvidersResponse(providers=map(self._provider, page), next_page_token=token)

    async def get_provider(
        self, call: Call, request: providers_pb2.GetProviderRequest
    ) -> providers_pb2.GetProviderResponse:
        return providers_pb2.GetProviderResponse(provider=self._provider(self._listed(request.name)))

    async def test_provider(
        self, call: Call, request: providers_pb2.TestProviderRequest
    ) -> providers_pb2.TestProviderResponse:
        upstream = self.registry.upstream(self._listed(request.name).name)
        loop = asyncio.get_running_loop()
        began = loop.time()
        response = await _tested(upstream, call.deadline - TEST_REPLY_S)
        self.lines.trunk(upstream.name).health.tested(response.failure_kind)
        response.duration.FromTimedelta(timedelta(seconds=loop.time() - began))
        return response

    async def watch_provider_health(
        self, call: Call, request: providers_pb2.WatchProviderHealthRequest
    ) -> AsyncGenerator[providers_pb2.WatchProviderHealthResponse, None]:
        names = [self._listed(name).name for name in request.names] or list(self.registry.enabled)
        watch = _Watch(self.lines, names)
        with self.lines.watched() as news:
            while not self.draining():
                for told in watch.changes():
                    yield providers_pb2.WatchProviderHealthResponse(health=told)
                with suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), LOOK_S)
                news.clear()
        raise TrunklineError(Reason.DRAINING, "this replica goes away", retry_after_s=1.0)

    async def reset_breaker(
        self, call: Call, request: providers_pb2.ResetBreakerRequest
    ) -> providers_pb2.ResetBreakerResponse:
        gate = self._gate(request.name)
        gate.reset()
        return providers_pb2.ResetBreakerResponse(breaker=breaker_of(gate, self.lines.clock()))

    async def open_breaker(
        self, call: Call, request: providers_pb2.OpenBreakerRequest
    ) -> providers_pb2.OpenBreakerResponse:
        provider, _, model = request.name.partition("/")
        if model:  # also before its first call
            self.lines.line(self._listed(provider).name, model)
        gate = self._gate(request.name)
        gate.hold_open()
        return providers_pb2.OpenBreakerResponse(breaker=breaker_of(gate, self.lines.clock()))

    def _gate(self, name: str) -> Gate:
        """A provider has one as soon as it is known, a model once it was asked for."""
        self.lines.trunk(self._listed(name.partition("/")[0]).name)
        return self.lines.gate(name)

    def _listed(self, name: str) -> Listed:
        listed = self.registry.find(name)
        if listed is None:
            raise not_found("provider", name)
        return listed

    def _provider(self, listed: Listed) -> providers_pb2.Provider:
        return providers_pb2.Provider(
            name=listed.name,
            wire=listed.dialect,
            enabled=listed.enabled,
            disabled_reason=listed.missing,
            capabilities=sorted(listed.capabilities),
            health=health_of(self.lines.trunk(listed.name), self.lines.clock()) if listed.enabled else None,
        )


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


def _failed(failure: UpstreamFailure) -> providers_pb2.TestProviderResponse:
    return providers_pb2.TestProviderResponse(failure_kind=failure.kind.value, http_status=failure.http_status or 0)
