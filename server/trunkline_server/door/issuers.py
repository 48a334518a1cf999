"""Tokens of other issuers (JWT): signed with keys that they publish, for us, and not over yet.

Keys are fetched when a token names one that is not known, once a minute at most, and anew from time to time, so that a
key that was taken back stops counting.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import jwt

from trunkline_server.core.call import Caller
from trunkline_server.core.errors import Reason, TrunklineError

_log = logging.getLogger(__name__)

Fetch = Callable[[str], Awaitable[bytes]]
LEEWAY_S: Final = 60
FETCH_EVERY_S: Final = 60.0
KEPT_S: Final = 600.0
_TOKEN_CHARS_MAX: Final = 8192
_NAME_CHARS_MAX: Final = 255
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Issuer:
    """`scopes` is the most that its tokens may do; those that say less in `scope_claim` may do less."""

    issuer: str
    audience: str
    jwks_uri: str
    algorithms: Sequence[str]
    tenant: str
    scopes: frozenset[str]
    scope_claim: str
    user_claim: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a token says, once it is believed."""

    principal: str
    tenant: str
    scopes: frozenset[str]
    user_id: str
    expire_time: datetime


class Issuers:
    """`clock` counts seconds like the event loop."""

    def __init__(self, issuers: Sequence[Issuer], fetch: Fetch, clock: Callable[[], float]) -> None:
        self._trusted = {each.issuer: _Trusted(each, fetch, clock) for each in issuers}

    def meant(self, token: str) -> bool:
        """Whether this may be a token of somebody's."""
        return bool(self._trusted) and token.count(".") == 2

    async def read(self, token: str) -> Claimed:
        """Raises AUTH_INVALID, AUTH_EXPIRED, STORE_UNAVAILABLE."""
        try:
            trusted = self._trusted[_unbelieved(token)]
            header = jwt.get_unverified_header(token)
            return trusted.claimed(token, await trusted.key(str(header.get("kid", ""))))
        except jwt.ExpiredSignatureError:
            raise TrunklineError(Reason.AUTH_EXPIRED, "the token's time is over") from None
        except (jwt.PyJWTError, KeyError, OverflowError, TypeError, ValueError):
            raise TrunklineError(Reason.AUTH_INVALID, "the token is not valid") from None


class _Trusted:
    """One issuer and its keys."""

    def __init__(self, issuer: Issuer, fetch: Fetch, clock: Callable[[], float]) -> None:
        self._issuer = issuer
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = float("-inf")
        self._turn = asyncio.Lock()

    async def key(self, key_id: str) -> jwt.PyJWK:
        """Raises KeyError where the issuer has none of that name, STORE_UNAVAILABLE where it does not answer."""
        async with self._turn:
            age_s = self._clock() - self._fetched_at
            if age_s > KEPT_S or (key_id not in self._keys and age_s > FETCH_EVERY_S):
                await self._refresh()
        if not self._keys:
            raise TrunklineError(
                Reason.STORE_UNAVAILABLE, "the keys of the issuer cannot be fetched, try again", retry_after_s=60.0
            )
        return self._keys[key_id]

    def claimed(self, token: str, key: jwt.PyJWK) -> Claimed:
        given = self._issuer
        claims = jwt.decode(
            token,
            key,
            algorithms=[*given.algorithms],
            audience=given.audience,
            issuer=given.issuer,
            leeway=LEEWAY_S,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )
        return Claimed(
            principal=_name(f"{given.issuer}#{claims['sub']}"),
            tenant=given.tenant,
            scopes=self._scopes(claims),
            user_id=_name(str(claims[given.user_claim])) if given.user_claim else "",
            expire_time=_EPOCH + timedelta(seconds=int(claims["exp"]) + LEEWAY_S),
        )

    def _scopes(self, claims: dict[str, Any]) -> frozenset[str]:
        given = self._issuer
        if not given.scope_claim:
            return given.scopes
        said = claims.get(given.scope_claim, "")
        asked = said.split() if isinstance(said, str) else map(str, said)
        most = Caller(UUID(int=0), "", given.scopes)
        return frozenset(scope for scope in asked if most.may(scope))

    async def _refresh(self) -> None:
        self._fetched_at = self._clock()
        try:
            published = jwt.PyJWKSet.from_json((await self._fetch(self._issuer.jwks_uri)).decode())
        except (TrunklineError, jwt.PyJWTError, ValueError) as error:
            _log.warning("issuer.keys_failed type=%s", type(error).__name__)
        else:
            self._keys = {each.key_id or "": each for each in published.keys if each.public_key_use in (None, "sig")}


def _unbelieved(token: str) -> str:
    """Who it says has issued it."""
    if len(token) > _TOKEN_CHARS_MAX:
        raise ValueError("the token is too long")
    return str(jwt.decode(token, options={"verify_signature": False}).get("iss", ""))


def _name(text: str) -> str:
    """A name that can stand in rows and headers."""
    if not text or len(text) > _NAME_CHARS_MAX or not (text.isascii() and text.isprintable()):
        raise ValueError("the name cannot be used")
    return text
