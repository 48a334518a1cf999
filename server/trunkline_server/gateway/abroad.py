"""What a tenant keeps at providers: which way leads there, whose account it is, and what their failures are told as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from trunkline.v1 import errors_pb2
from trunkline_server.core.call import Caller
from trunkline_server.core.errors import Reason, TrunklineError, invalid, not_found
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.gateway import refusals
from trunkline_server.gateway.routes import Routes
from trunkline_server.providers.provider import BODY_BYTES_MAX, Upstream
from trunkline_server.store.files import OPERATORS
from trunkline_server.wire.http import HttpRequest
from trunkline_server.wire.stored_files import StoredFiles, VectorStores

GONE: Final = 404


@dataclass(frozen=True, slots=True)
class Abroad:
    """A provider as a tenant sees it. `account_id`: the tenant's id where it goes there with a key of its own."""

    upstream: Upstream
    account_id: UUID

    @property
    def files(self) -> StoredFiles:
        """Raises CAPABILITY_UNSUPPORTED."""
        if self.upstream.provider.files is None:
            raise self._lacking("takes no files")
        return self.upstream.provider.files

    @property
    def stores(self) -> VectorStores:
        """Raises CAPABILITY_UNSUPPORTED."""
        if self.upstream.provider.stores is None:
            raise self._lacking("has no vector stores")
        return self.upstream.provider.stores

    async def ask(self, request: HttpRequest) -> bytes:
        """Raises what the provider's failure means."""
        try:
            return await self._asked(request)
        except UpstreamFailure as failure:
            raise self._told(failure) from failure

    async def look(self, request: HttpRequest) -> bytes | None:
        """None: it is not there. Raises what another failure means."""
        try:
            return await self._asked(request)
        except UpstreamFailure as failure:
            if failure.http_status != GONE:
                raise self._told(failure) from failure
            return None

    async def discard(self, request: HttpRequest) -> None:
        """Delete something, which need not be there any more."""
        await self.look(request)

    async def _asked(self, request: HttpRequest) -> bytes:
        async with self.upstream.transport.open(request) as response:
            await self.upstream.accept(response)
            return await response.read(BODY_BYTES_MAX)

    def _told(self, failure: UpstreamFailure) -> TrunklineError:
        if failure.kind is FailureKind.MODEL_UNKNOWN:  # what a 404 is taken for; it is about no model
            failure = UpstreamFailure(FailureKind.INVALID, failure.http_status, code=failure.code)
        told = errors_pb2.UpstreamFailure(
            provider=self.upstream.name,
            http_status=failure.http_status,
            code=failure.code,
            kind=failure.kind.value,
        )
        own = self.account_id != OPERATORS
        return refusals.told(failure, [told], "", begun=False, own_key=own, partial=None)

    def _lacking(self, what: str) -> TrunklineError:
        return invalid("provider", f"{self.upstream.name} {what}", Reason.CAPABILITY_UNSUPPORTED)


def abroad(routes: Routes, caller: Caller, provider: str) -> Abroad:
    """Raises RESOURCE_NOT_FOUND, PROVIDER_DISABLED."""
    if routes.registry.find(provider) is None:
        raise not_found("provider", provider)
    upstream = routes.upstream(provider, caller)
    return Abroad(upstream, caller.tenant_id if routes.has_own(caller.tenant_id, provider) else OPERATORS)


def way_back(routes: Routes, provider: str, account_id: UUID) -> Abroad:
    """The way by which something was brought there. Raises as `abroad` does."""
    return abroad(routes, Caller(account_id, "", frozenset()), provider)
