"""Signed requests: what a signature has to cover before it is believed, and what it promises of the content.

Everything that changes what a call means is covered, or the call is refused: method, path, query, content, and those
fields beside it that the gateway reads.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.message_signature import MessageSignature, is_by, sha256_of
from trunkline_server.door.metadata import (
    ACCOUNT,
    IDEMPOTENCY_KEY,
    PRIORITY,
    REQUEST_ID,
    SIGNATURE,
    USER,
    Metadata,
    Said,
)
from trunkline_server.store.nonces import Nonce, Nonces

INPUT: Final = "signature-input"
DIGEST: Final = "content-digest"
MEANT: Final = (REQUEST_ID, USER, ACCOUNT, IDEMPOTENCY_KEY, PRIORITY, "content-type", "last-event-id")
"""Fields that have to be covered where a request has them."""
ALGORITHM: Final = "ed25519"
CLOCKS_S: Final = 60.0
"""How far the clocks of replicas, and the database's, may be apart."""
_ALWAYS: Final = ("@method", "@path", DIGEST)
_PARAMS: Final = ("created", "nonce", "keyid", "alg")
_NEVER_S: Final = 10**11
_NOBODYS: Final = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
"""Stands in where there is no public key, so that nobody can tell by the time it takes; its other half is gone."""


class Line(Protocol):
    """How a request begins; `target` as it was sent, with its query."""

    @property
    def method(self) -> str: ...

    @property
    def target(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Posted:
    """How every request of gRPC begins."""

    target: str
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Claim:
    """A request that says whose it is; nobody has verified it yet."""

    key_id: str
    nonce: str
    created_s: int
    expires_s: int
    digest: bytes
    """The SHA-256 of the content."""
    signature: bytes = field(repr=False)
    base: bytes = field(repr=False)

    @classmethod
    def of(cls, said: Said, line: Line) -> Self:
        """Raises AUTH_INVALID for what could not be believed whoever signed it."""
        request = _Request(said.metadata, line)
        try:
            read = MessageSignature.read(request.value(INPUT), request.value(SIGNATURE))
            request.require_covered(read)
            base = read.base(request.value)
        except ValueError:
            raise _refused(f"send one {INPUT!r} and one {SIGNATURE!r}, in ASCII, as RFC 9421 spells them") from None
        digest = sha256_of(request.value(DIGEST))
        if digest is None:
            raise _refused(f"{DIGEST!r} must have the SHA-256 of the content")
        params = read.params
        expires_s = int(params.get("expires", _NEVER_S))
        return cls(params["keyid"], params["nonce"], int(params["created"]), expires_s, digest, read.signature, base)

    def is_by(self, public_keys: Sequence[bytes]) -> bool:
        """Whether it was signed for one of them; the same work where there are none."""
        return is_by(public_keys or (_NOBODYS,), self.signature, self.base)


@dataclass(frozen=True, slots=True)
class _Request:
    """What a signature may cover."""

    metadata: Metadata
    line: Line

    def require_covered(self, read: MessageSignature) -> None:
        """Raises AUTH_INVALID."""
        if absent := [name for name in _PARAMS if name not in read.params]:
            raise _refused(f"the signature lacks the parameter {absent[0]!r}")
        if read.params["alg"] != ALGORITHM:
            raise _refused(f"the signature must be {ALGORITHM}")
        names = {name for name, _ in self.metadata}
        needed = (*_ALWAYS, *(name for name in MEANT if name in names), *(("@query",) if self._query else ()))
        if bare := [name for name in needed if name not in read.components]:
            raise _refused(f"the signature must cover {bare[0]!r}")

    def value(self, name: str) -> str:
        """Of a component. Raises AUTH_INVALID where there is none."""
        match name:
            case "@method":
                return self.line.method
            case "@path":
                return self.line.target.partition("?")[0]
            case "@query":
                return f"?{self._query}"
            case _:
                return self._field(name)

    def _field(self, name: str) -> str:
        values = [value.strip(" \t") for key, value in self.metadata if key == name and isinstance(value, str)]
        if not values:
            raise _refused(f"{name!r} is not in the request")
        return ", ".join(values)

    @property
    def _query(self) -> str:
        return self.line.target.partition("?")[2]


@dataclass(frozen=True, slots=True)
class Freshness:
    """Signed requests are of now, `window_s` more or less, and come once."""

    nonces: Nonces
    window_s: float

    def require_now(self, claim: Claim) -> None:
        """Raises SIGNATURE_STALE."""
        now_s = time.time()
        skew_s = round(claim.created_s - now_s)
        if abs(skew_s) > self.window_s or now_s > claim.expires_s:
            raise TrunklineError(
                Reason.SIGNATURE_STALE,
                f"the request was signed {abs(skew_s)} s {'ahead of' if skew_s > 0 else 'before'} this gateway's time",
                metadata={"clockSkewS": str(skew_s), "windowS": f"{self.window_s:g}"},
            )

    async def spend(self, claim: Claim) -> None:
        """Raises SIGNATURE_REPLAYED, STORE_UNAVAILABLE."""
        expire_time = datetime.fromtimestamp(claim.created_s + self.window_s + CLOCKS_S, UTC)
        if not await self.nonces.spend(Nonce(claim.key_id, claim.nonce, expire_time)):
            raise TrunklineError(Reason.SIGNATURE_REPLAYED, "a request with this nonce came before")


def require_kept(promised: bytes, content: bytes) -> None:
    """Raises AUTH_INVALID where the content is another one."""
    if hashlib.sha256(content).digest() != promised:
        raise _refused("the content is not the one that was signed")


def content_of(message: bytes) -> bytes:
    """The content of a request of gRPC, as it is before anybody packs it."""
    return b"\0" + len(message).to_bytes(4) + message


def uncovered() -> TrunklineError:
    """For calls that say more than was signed."""
    return _refused("a request in many messages cannot be signed; send it in one, over HTTP")


def _refused(message: str) -> TrunklineError:
    return TrunklineError(Reason.AUTH_INVALID, message)
