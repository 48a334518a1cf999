"""ProviderService: which providers there are, which are on, and whether one answers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from trunkline.v1 import providers_pb2
from trunkline_server.core.call import Call
from trunkline_server.core.errors import not_found
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.page_token import PageTokens
from trunkline_server.providers.provider import Upstream
from trunkline_server.providers.registry import Listed, Registry

TEST_REPLY_S: Final = 0.5
"""What is left of a call's time, when a provider that does not answer has failed its test."""


@dataclass(frozen=True)
class ProviderService:
    """Neither a key nor an address ever stands in an answer."""

    registry: Registry
    tokens: PageTokens

    async def list_providers(
        self, call: Call, request: providers_pb2.ListProvidersRequest
    ) -> providers_pb2.ListProvidersResponse:
        paging = self.tokens.paging(call.caller.tenant_id, request)
        rows = [each for each in self.registry.listing() if not paging.cursor or each.name > paging.cursor[0]]
        page, token = paging.cut(rows, lambda each: (each.name,))
        return providers_pb2.ListProvidersResponse(providers=map(_provider, page), next_page_token=token)

    async def get_provider(
        self, call: Call, request: providers_pb2.GetProviderRequest
    ) -> providers_pb2.GetProviderResponse:
        return providers_pb2.GetProviderResponse(provider=_provider(self._listed(request.name)))

    async def test_provider(
        self, call: Call, request: providers_pb2.TestProviderRequest
    ) -> providers_pb2.TestProviderResponse:
        upstream = self.registry.upstream(self._listed(request.name).name)
        loop = asyncio.get_running_loop()
        began = loop.time()
        response = await _tested(upstream, call.deadline - TEST_REPLY_S)
        response.duration.FromTimedelta(timedelta(seconds=loop.time() - began))
        return response

    def _listed(self, name: str) -> Listed:
        listed = self.registry.find(name)
        if listed is None:
            raise not_found("provider", name)
        return listed


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


def _provider(listed: Listed) -> providers_pb2.Provider:
    return providers_pb2.Provider(
        name=listed.name,
        wire=listed.dialect,
        enabled=listed.enabled,
        disabled_reason=listed.missing,
        capabilities=sorted(listed.capabilities),
    )
