"""Who calls: a key, a signature, another issuer's token or a certificate becomes a `Caller`, or the call is refused.

Keys are looked up once a minute at most; a revoked key is announced to every replica and forgotten at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from trunkline_server.core import api_key, browser_token
from trunkline_server.core.browser_token import BrowserToken, BrowserTokens
from trunkline_server.core.call import Caller
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.door.identities import Identities
from trunkline_server.door.issuers import Claimed, Issuers
from trunkline_server.door.signed import Claim, Freshness
from trunkline_server.door.tls import names_shown
from trunkline_server.store.keys import KeyRecord, Keys
from trunkline_server.store.tenants import Tenant, Tenants

_KNOWN_MAX: Final = 10_000
_STALE_S_MAX: Final = 600.0
_INVALID: Final = "the API key is not valid"
_SHOWN: Final = "\0"
"""Before names out of certificates, where the others have their token; no token begins so."""
_SIGNED: Final = "\1"
"""Before ids of keys that sign."""


@dataclass(slots=True)
class _Known:
    """A key that was right, until when it need not be looked up again."""

    caller: Caller
    key_id: str
    fresh_until: float
    expire_time: datetime | None
    record: KeyRecord | None = None


@dataclass(frozen=True, slots=True)
class Strangers:
    """Whom we know by what others say of them."""

    identities: Identities = field(default_factory=Identities)
    issuers: Issuers | None = None


class Callers:
    """Names callers. `clock` counts seconds like the event loop."""

    NOBODY: Final = Caller(tenant_id=UUID(int=0), principal="", scopes=frozenset())

    def __init__(
        self,
        keys: Keys,
        tenants: Tenants,
        cache_ttl_s: float,
        clock: Callable[[], float],
        strangers: Strangers | None = None,
        *,
        pages: BrowserTokens,
        freshness: Freshness,
    ) -> None:
        self._pages = pages
        self._freshness = freshness
        self._strangers = strangers or Strangers()
        self._keys = keys
        self._tenants = tenants
        self._cache_ttl_s = cache_ttl_s
        self._clock = clock
        self._known: dict[bytes, _Known] = {}
        self._changes = 0
        self.used: set[str] = set()

    async def identify(
        self, tokens: Sequence[str], scope: str, certificate: object = None, claim: Claim | None = None
    ) -> Caller:
        """The caller, who has the scope. A claim counts before a token, and that before a certificate. Raises AUTH_*,
        SIGNATURE_* or SCOPE_MISSING."""
        if claim is not None:
            known = await self._claimant(claim)
        else:
            token = _SHOWN + self._shown(certificate) if certificate and not tokens else _token(tokens)
            known = await self._know(token)
        if known.expire_time is not None and known.expire_time <= datetime.now(UTC):
            raise TrunklineError(Reason.AUTH_EXPIRED, "the API key's time is over")
        if known.key_id:
            self.used.add(known.key_id)
        if not scope or not known.caller.may(scope):
            raise TrunklineError(
                Reason.SCOPE_MISSING, f"the API key lacks the scope {scope!r}", metadata={"scope": scope}
            )
        return known.caller

    def forget(self, key_id: str | None) -> None:
        """A key has changed; without an id any may have."""
        self._changes += 1
        gone = [digest for digest, known in self._known.items() if key_id in (None, known.key_id)]
        for digest in gone:
            del self._known[digest]

    def take_used(self) -> list[str]:
        """The keys that were used since last time."""
        used, self.used = self.used, set()
        return sorted(used)

    async def _know(self, token: str) -> _Known:
        digest = hashlib.sha256(token.encode()).digest()
        known = self._known.get(digest)
        now, changes = self._clock(), self._changes
        if known is not None and now < known.fresh_until:
            return known
        try:
            known = await self._look_up(token, now)
        except TrunklineError as error:
            if (
                error.reason is Reason.STORE_UNAVAILABLE
                and known is not None
                and now < known.fresh_until + _STALE_S_MAX
            ):
                return known
            self._known.pop(digest, None)
            raise
        self._remember(digest, known, changes)
        return known

    async def _claimant(self, claim: Claim) -> _Known:
        self._freshness.require_now(claim)
        known = await self._signer(claim)
        await self._freshness.spend(claim)
        return known

    async def _signer(self, claim: Claim) -> _Known:
        """Whose key it was signed for. Of a key nobody hears anything before they have shown that it is theirs."""
        digest = hashlib.sha256((_SIGNED + claim.key_id).encode()).digest()
        known, now, changes = self._known.get(digest), self._clock(), self._changes
        if known is not None and now < known.fresh_until:
            _proven(claim, known.record)
            return known
        record = _proven(claim, await self._keys.find(claim.key_id))
        known = await self._holder(record, now)
        self._remember(digest, known, changes)
        return known

    def _shown(self, certificate: object) -> str:
        """The name in it that is known."""
        found = self._strangers.identities.first(names_shown(certificate))
        if found is None:
            raise TrunklineError(Reason.AUTH_MISSING, "send an API key, or show a certificate whose name is known here")
        return found[0]

    async def _look_up(self, token: str, now: float) -> _Known:
        if token.startswith(_SHOWN):
            return await self._workload(token.removeprefix(_SHOWN), now)
        if token.startswith(browser_token.PREFIX):
            return await self._page(token, now)
        key = api_key.parse(token)
        if key is None and (issuers := self._strangers.issuers) and issuers.meant(token):
            return await self._claimed(await issuers.read(token), now)
        if key is None:
            raise TrunklineError(Reason.AUTH_INVALID, _INVALID)
        record = await self._keys.find(key.key_id)
        if record is None or not record.fits(self._keys.hash(key.secret), datetime.now(UTC)):
            raise TrunklineError(Reason.AUTH_INVALID, _INVALID)
        return await self._holder(record, now)

    async def _page(self, text: str, now: float) -> _Known:
        """Whoever has a token may do what the key that made it may, and no more than the token says."""
        token = self._pages.read(text)
        record = await self._keys.find(token.key_id) if token else None
        if token is None or record is None:
            raise TrunklineError(Reason.AUTH_INVALID, "the browser token is not valid")
        known = await self._holder(record, now)
        ends = min(token.expire_time, record.expire_time or token.expire_time)
        return _Known(_lent(known.caller, token), known.key_id, known.fresh_until, ends)

    async def _holder(self, record: KeyRecord, now: float) -> _Known:
        """Whose key it is."""
        if record.revoke_time is not None:
            raise TrunklineError(Reason.AUTH_REVOKED, "the API key was revoked")
        tenant = _active(await self._tenants.get(record.tenant_id))
        return _known(record, tenant, now + self._cache_ttl_s)

    async def _workload(self, name: str, now: float) -> _Known:
        found = self._strangers.identities.first((name,))
        if found is None:
            raise TrunklineError(Reason.AUTH_INVALID, _INVALID)
        identity = found[1]
        tenant = await self._named(identity.tenant)
        caller = Caller(tenant.tenant_id, name, identity.scopes, identity.models, identity.priority)
        return _Known(caller, "", now + self._cache_ttl_s, None)

    async def _claimed(self, said: Claimed, now: float) -> _Known:
        tenant = await self._named(said.tenant)
        caller = Caller(tenant.tenant_id, said.principal, said.scopes, user_id=said.user_id)
        return _Known(caller, "", now + self._cache_ttl_s, said.expire_time)

    async def _named(self, tenant: str) -> Tenant:
        """The settings may name one that is not there: whoever comes for it is nobody."""
        try:
            return _active(await self._tenants.get_named(tenant))
        except TrunklineError as error:
            if error.reason is Reason.RESOURCE_NOT_FOUND:
                raise TrunklineError(Reason.AUTH_INVALID, _INVALID) from None
            raise

    def _remember(self, digest: bytes, known: _Known, changes: int) -> None:
        """Unless a key has changed since it was looked up: it may be from before."""
        if changes != self._changes:
            return
        if len(self._known) >= _KNOWN_MAX:
            del self._known[next(iter(self._known))]
        self._known[digest] = known


def _proven(claim: Claim, record: KeyRecord | None) -> KeyRecord:
    """The key, once the signature fits. Verified first: a key that is not there takes as long as a wrong one."""
    if not claim.is_by(record.public_keys(datetime.now(UTC)) if record else ()) or record is None:
        raise TrunklineError(Reason.AUTH_INVALID, "the signature is not valid")
    return record


def _lent(caller: Caller, token: BrowserToken) -> Caller:
    models = tuple(name for name in token.models if caller.may_use(*name.split("/", 1)))
    if not models:
        raise TrunklineError(Reason.AUTH_INVALID, "the browser token is good for no model any more")
    scopes = frozenset({browser_token.SCOPE} if caller.may(browser_token.SCOPE) else ())
    return replace(caller, scopes=scopes, allowed_models=models, user_id=token.user_id, token=token)


def _active(tenant: Tenant) -> Tenant:
    if tenant.suspended:
        raise TrunklineError(Reason.TENANT_SUSPENDED, "the tenant is suspended")
    return tenant


def _token(tokens: Sequence[str]) -> str:
    if not tokens:
        raise TrunklineError(Reason.AUTH_MISSING, "send an API key as metadata `authorization: Bearer <key>`")
    if len(tokens) > 1:
        raise TrunklineError(Reason.AUTH_INVALID, "send one `authorization` and no more")
    kind, _, token = tokens[0].partition(" ")
    if kind.lower() != "bearer" or not token or token < "!":  # nothing that one of ours could begin with
        raise TrunklineError(Reason.AUTH_INVALID, "`authorization` must be `Bearer <key>`")
    return token


def _known(record: KeyRecord, tenant: Tenant, fresh_until: float) -> _Known:
    caller = Caller(
        tenant_id=tenant.tenant_id,
        principal=record.key_id,
        scopes=record.scopes,
        allowed_models=tuple(sorted(record.models)),
        priority=record.priority,
    )
    return _Known(caller, record.key_id, fresh_until, record.expire_time, record)
