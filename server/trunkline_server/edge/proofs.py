"""What proves that a webhook is the provider's: a secret that both know, or keys that it publishes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from trunkline_server.core import inbound_webhook, published_webhook
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.inbound_webhook import Header, Told, refused

_log = logging.getLogger(__name__)

KEPT_S: Final = 24 * 3600.0
FETCH_EVERY_S: Final = 60.0


class Proof(Protocol):
    """Reads what is proven."""

    async def read(self, header: Header, body: bytes, now_s: float) -> Told:
        """Raises AUTH_INVALID, MALFORMED_MESSAGE."""


@dataclass(frozen=True, slots=True)
class SharedSecret:
    """Standard Webhooks, or a plain HMAC."""

    secret: str = field(repr=False)

    async def read(self, header: Header, body: bytes, now_s: float) -> Told:
        return inbound_webhook.read(header, body, self.secret, now_s)


class PublishedKeys:
    """Fetched when they are needed, anew each day and where none of them fits, but once a minute at most."""

    def __init__(self, fetch: Callable[[], Awaitable[bytes]]) -> None:
        self._fetch = fetch
        self._keys: Sequence[Ed25519PublicKey] = ()
        self._fetched_at = float("-inf")
        self._turn = asyncio.Lock()

    async def read(self, header: Header, body: bytes, now_s: float) -> Told:
        """Also raises STORE_UNAVAILABLE where the keys cannot be fetched: the provider is to try again."""
        claim = published_webhook.Claim.of(header, body, now_s)
        if not claim.is_by(await self._known(KEPT_S)) and not claim.is_by(await self._known(FETCH_EVERY_S)):
            raise refused()
        return claim.told()

    async def _known(self, age_s_max: float) -> Sequence[Ed25519PublicKey]:
        async with self._turn:
            now = asyncio.get_running_loop().time()
            if now - self._fetched_at > age_s_max:
                self._fetched_at = now
                await self._refresh()
        if not self._keys:
            raise TrunklineError(Reason.STORE_UNAVAILABLE, "the keys cannot be fetched, try again", retry_after_s=60.0)
        return self._keys

    async def _refresh(self) -> None:
        """Those that are known stay where there are none to be had."""
        try:
            self._keys = published_webhook.keys_of(await self._fetch())
        except (TrunklineError, ValueError) as error:
            _log.warning("webhook.no_keys type=%s", type(error).__name__)
