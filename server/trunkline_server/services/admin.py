"""AdminService: tenants, keys, and the replica itself. Nobody gives a key more than they have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from trunkline.v1 import admin_pb2, usage_pb2
from trunkline_server.core import browser_token, ids, money
from trunkline_server.core.browser_token import BrowserToken, BrowserTokens
from trunkline_server.core.call import Call, Caller
from trunkline_server.core.errors import Reason, TrunklineError, invalid, not_found
from trunkline_server.core.message_signature import is_weak
from trunkline_server.core.moment import moment_of, timestamp
from trunkline_server.core.page_token import PageTokens
from trunkline_server.core.priority import Priority
from trunkline_server.core.text import readable
from trunkline_server.gateway.cache.shelf import Shelf, Stats
from trunkline_server.gateway.vitals import Vitals, resident_memory_bytes
from trunkline_server.store.keys import KeyRecord, Keys, NewKey
from trunkline_server.store.page import Page
from trunkline_server.store.tenants import Tenant, Tenants

OVERLAP_S_DEFAULT: Final = 24 * 3600
TOKEN_S_DEFAULT: Final = 15 * 60
ALL_TENANTS: Final = "admin:tenants"
PRIORITIES: Final = {
    Priority.SHEDDABLE: admin_pb2.PRIORITY_SHEDDABLE,
    Priority.BATCH: admin_pb2.PRIORITY_BATCH,
    Priority.INTERACTIVE: admin_pb2.PRIORITY_INTERACTIVE,
    Priority.CRITICAL: admin_pb2.PRIORITY_CRITICAL,
}


@dataclass(frozen=True)
class Replica:
    """This process: what it is, what it does just now, and how it is sent away."""

    version: str
    replica_id: str
    start_time: datetime
    database_embedded: bool
    draining: Callable[[], bool]
    live_call_count: Callable[[], int]
    expired_reservation_count: Callable[[], int]
    drain: Callable[[], None]


@dataclass(frozen=True)
class AdminService:
    """A key acts on its own tenant; with the scope `admin:tenants` on all of them. `forget` ends what this replica
    believes of a key; others hear of its change."""

    tenants: Tenants
    keys: Keys
    tokens: PageTokens
    replica: Replica
    shelf: Shelf
    vitals: Vitals
    pages: BrowserTokens
    forget: Callable[[str], None]

    async def create_tenant(self, call: Call, request: admin_pb2.CreateTenantRequest) -> admin_pb2.CreateTenantResponse:
        return admin_pb2.CreateTenantResponse(tenant=_tenant(await self.tenants.create(request.name)))

    async def list_tenants(self, call: Call, request: admin_pb2.ListTenantsRequest) -> admin_pb2.ListTenantsResponse:
        paging = self.tokens.paging(call.caller.tenant_id, request)
        rows = await self.tenants.list(Page.of(paging))
        page, token = paging.cut(rows, lambda row: (row.create_time.isoformat(), row.tenant_id.hex))
        return admin_pb2.ListTenantsResponse(tenants=map(_tenant, page), next_page_token=token)

    async def get_cache_stats(
        self, call: Call, request: admin_pb2.GetCacheStatsRequest
    ) -> admin_pb2.GetCacheStatsResponse:
        tenant_id = call.caller.tenant_id
        stats = self.shelf.stats(tenant_id, request.provider, request.model)
        return admin_pb2.GetCacheStatsResponse(stats=map(_cache_stats, stats))

    async def purge_cache(self, call: Call, request: admin_pb2.PurgeCacheRequest) -> admin_pb2.PurgeCacheResponse:
        if request.model and not request.provider:
            raise invalid("provider", "is needed to name a model")
        named = (readable("provider", request.provider), readable("model", request.model))
        count = await self.shelf.purge(call.caller.tenant_id, *named)
        return admin_pb2.PurgeCacheResponse(purged_count=count)

    async def create_api_key(
        self, call: Call, request: admin_pb2.CreateApiKeyRequest
    ) -> admin_pb2.CreateApiKeyResponse:
        _check_models(request.allowed_models)
        _check_gift(call.caller, request.scopes, request.allowed_models)
        new = NewKey(
            tenant_id=_tenant_id(call.caller, request.tenant_id),
            name=readable("name", request.name),
            scopes=request.scopes,
            created_by=call.caller.principal,
            models=request.allowed_models,
            expire_time=_future("expire_time", request.expire_time) if request.HasField("expire_time") else None,
            priority=_priority(call.caller, request.priority),
            public_key=_public_key(request),
        )
        record, secret = await self.keys.create(new)
        return admin_pb2.CreateApiKeyResponse(api_key=_api_key(record), secret=secret)

    async def list_api_keys(self, call: Call, request: admin_pb2.ListApiKeysRequest) -> admin_pb2.ListApiKeysResponse:
        paging = self.tokens.paging(call.caller.tenant_id, request)
        rows = await self.keys.list(call.caller.tenant_id, Page.of(paging))
        page, token = paging.cut(rows, lambda row: (row.create_time.isoformat(), row.key_id))
        return admin_pb2.ListApiKeysResponse(api_keys=map(_api_key, page), next_page_token=token)

    async def revoke_api_key(
        self, call: Call, request: admin_pb2.RevokeApiKeyRequest
    ) -> admin_pb2.RevokeApiKeyResponse:
        found = await self._key(call.caller, request.key_id)
        revoked = await self.keys.revoke(found.tenant_id, found.key_id)
        self.forget(found.key_id)
        return admin_pb2.RevokeApiKeyResponse(api_key=_api_key(revoked))

    async def rotate_api_key(
        self, call: Call, request: admin_pb2.RotateApiKeyRequest
    ) -> admin_pb2.RotateApiKeyResponse:
        found = await self._key(call.caller, request.key_id)
        _check_taking(call.caller, found)
        public_key = _public_key(request)
        if (found.public_key is None) != (public_key is None):
            raise invalid("public_key", "a key that signs gets its next one, a key with a secret gets none")
        overlap = request.overlap.ToTimedelta().total_seconds() if request.HasField("overlap") else OVERLAP_S_DEFAULT
        record, secret = await self.keys.rotate(found.tenant_id, found.key_id, overlap, public_key)
        self.forget(found.key_id)
        return admin_pb2.RotateApiKeyResponse(api_key=_api_key(record), secret=secret)

    async def create_browser_token(
        self, call: Call, request: admin_pb2.CreateBrowserTokenRequest
    ) -> admin_pb2.CreateBrowserTokenResponse:
        _check_models(request.allowed_models)
        _check_gift(call.caller, (browser_token.SCOPE,), request.allowed_models)
        if call.caller.user_id not in ("", request.user_id):
            raise _forbidden("user_id", "your own credential is for another user")
        key = await self.keys.find(call.caller.principal)
        if key is None:
            raise _forbidden("user_id", "tokens are made with an API key, whose end is theirs")
        token = BrowserToken(
            token_id=ids.new_uuid(),
            key_id=key.key_id,
            user_id=request.user_id,
            models=tuple(request.allowed_models),
            budget_nanos=_budget_nanos(request.budget),
            expire_s=_token_end(request, key),
            origins=tuple(request.allowed_origins),
        )
        expires = timestamp(token.expire_time)
        return admin_pb2.CreateBrowserTokenResponse(token=self.pages.spell(token), expire_time=expires)

    async def get_info(self, call: Call, request: admin_pb2.GetInfoRequest) -> admin_pb2.GetInfoResponse:
        replica = self.replica
        return admin_pb2.GetInfoResponse(
            version=replica.version,
            replica_id=replica.replica_id,
            start_time=timestamp(replica.start_time),
            draining=replica.draining(),
            live_call_count=replica.live_call_count(),
            resident_memory_bytes=resident_memory_bytes(),
            database_ok=await self._database_ok(call.caller.tenant_id),
            database_embedded=replica.database_embedded,
            expired_reservation_count=replica.expired_reservation_count(),
        )

    async def get_system_health(
        self, call: Call, request: admin_pb2.GetSystemHealthRequest
    ) -> admin_pb2.GetSystemHealthResponse:
        return admin_pb2.GetSystemHealthResponse(health=await self.vitals.told())

    async def drain(self, call: Call, request: admin_pb2.DrainRequest) -> admin_pb2.DrainResponse:
        if not self.replica.draining():  # asked twice it would hurry, and a retry must not
            self.replica.drain()
        return admin_pb2.DrainResponse()

    async def _key(self, caller: Caller, key_id: str) -> KeyRecord:
        found = await self.keys.find(readable("key_id", key_id))
        if found is None or not (found.tenant_id == caller.tenant_id or caller.may(ALL_TENANTS)):
            raise not_found("api_key", key_id)
        return found

    async def _database_ok(self, tenant_id: UUID) -> bool:
        """Asks for a row that must be there."""
        try:
            await self.tenants.get(tenant_id)
        except TrunklineError as error:
            return error.reason is not Reason.STORE_UNAVAILABLE
        return True


def _budget_nanos(budget: usage_pb2.Amount) -> int:
    if budget.unit != money.CREDIT:
        raise invalid("budget.unit", f"must be {money.CREDIT!r}")
    if budget.nanos <= 0:
        raise invalid("budget.nanos", "must be more than 0")
    return budget.nanos


def _token_end(request: admin_pb2.CreateBrowserTokenRequest, key: KeyRecord) -> int:
    """Seconds since 1970."""
    ttl_s = request.ttl.ToTimedelta().total_seconds() if request.HasField("ttl") else TOKEN_S_DEFAULT
    ends = int(datetime.now(UTC).timestamp() + ttl_s)
    return min(ends, int(key.expire_time.timestamp())) if key.expire_time else ends


def _tenant_id(caller: Caller, text: str) -> UUID:
    """Whose key it shall be."""
    tenant_id = ids.parse("tnt", text) if text else caller.tenant_id
    if tenant_id != caller.tenant_id and not caller.may(ALL_TENANTS):
        raise _forbidden("tenant_id", f"another tenant's key needs the scope {ALL_TENANTS!r}")
    if tenant_id is None:
        raise not_found("tenant", text)
    return tenant_id


def _check_models(models: Sequence[str]) -> None:
    for place, name in enumerate(models):
        provider, _, model = readable(f"allowed_models[{place}]", name).partition("/")
        if not (provider and model):
            raise invalid(f"allowed_models[{place}]", "must be provider/model or provider/*")


def _check_gift(caller: Caller, scopes: Sequence[str], models: Sequence[str]) -> None:
    """Everything that a new key may, its maker may."""
    for place, scope in enumerate(scopes):
        if not caller.may(scope):
            raise _forbidden(f"scopes[{place}]", f"your own key lacks {scope!r}")
    if caller.allowed_models and not models:
        raise _forbidden("allowed_models", "your own key may not call every model")
    for place, name in enumerate(models):
        if not caller.may_use(*_split(name)):
            raise _forbidden(f"allowed_models[{place}]", f"your own key may not call {name!r}")


def _check_taking(caller: Caller, key: KeyRecord) -> None:
    """A new secret, or public key, is the key itself: only who may everything that the key may gets it."""
    models = not caller.allowed_models or (key.models and all(caller.may_use(*_split(name)) for name in key.models))
    urgent = key.priority > caller.priority and not caller.may(ALL_TENANTS)
    if urgent or not (models and all(map(caller.may, key.scopes))):
        raise _forbidden("key_id", "the key may do more than your own")


def _public_key(request: admin_pb2.CreateApiKeyRequest | admin_pb2.RotateApiKeyRequest) -> bytes | None:
    if not request.HasField("public_key"):
        return None
    if is_weak(request.public_key):
        raise invalid("public_key", "anybody could sign for it")
    return request.public_key


def _priority(caller: Caller, told: admin_pb2.Priority.ValueType) -> Priority:
    """What a new key gets; who may act on all tenants says who goes first among them."""
    if not told:
        return min(Priority.INTERACTIVE, caller.priority)
    if told > caller.priority and not caller.may(ALL_TENANTS):
        raise _forbidden("priority", "your own key is less urgent")
    return Priority(told)


def _split(name: str) -> tuple[str, str]:
    provider, _, model = name.partition("/")
    return provider, model


def _forbidden(path: str, description: str) -> TrunklineError:
    return invalid(path, description, Reason.FIELD_FORBIDDEN)


def _future(path: str, told: Timestamp) -> datetime:
    moment = moment_of(path, told)
    if moment <= datetime.now(UTC):
        raise invalid(path, "is in the past")
    return moment


def _tenant(tenant: Tenant) -> admin_pb2.Tenant:
    return admin_pb2.Tenant(
        tenant_id=ids.spell("tnt", tenant.tenant_id),
        name=tenant.name,
        suspended=tenant.suspended,
        create_time=timestamp(tenant.create_time),
    )


def _api_key(record: KeyRecord) -> admin_pb2.ApiKey:
    return admin_pb2.ApiKey(
        key_id=record.key_id,
        tenant_id=ids.spell("tnt", record.tenant_id),
        name=record.name,
        scopes=sorted(record.scopes),
        allowed_models=sorted(record.models),
        create_time=timestamp(record.create_time),
        expire_time=timestamp(record.expire_time),
        revoke_time=timestamp(record.revoke_time),
        last_use_time=timestamp(record.last_use_time),
        priority=PRIORITIES[record.priority],
        public_key=record.public_key or b"",
    )


def _cache_stats(stats: Stats) -> admin_pb2.CacheStats:
    return admin_pb2.CacheStats(
        provider=stats.provider,
        model=stats.model,
        hit_count=stats.counts.hits,
        miss_count=stats.counts.misses,
        stale_count=stats.counts.stale,
        similar_count=stats.counts.similar,
        entry_count=stats.entry_count,
        entry_bytes=stats.entry_bytes,
    )
