"""Webhooks signed with a key that the provider publishes, as FAL's are.

The signature is Ed25519, in hex, over four lines: the id of the request, the user, the time, and the body's SHA-256.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from trunkline_server.core.inbound_webhook import Header, Told, check_stamp, refused, told


class _Key(msgspec.Struct):
    kty: str = ""
    crv: str = ""
    x: str = ""


class _Published(msgspec.Struct):
    keys: list[_Key]


def keys_of(published: bytes) -> list[Ed25519PublicKey]:
    """Those of a JWKS that are of this kind. Raises ValueError where it is none."""
    found = msgspec.json.decode(published, type=_Published).keys
    texts = [each.x for each in found if (each.kty, each.crv) == ("OKP", "Ed25519")]
    return [Ed25519PublicKey.from_public_bytes(urlsafe_b64decode(text + "=" * (-len(text) % 4))) for text in texts]


@dataclass(frozen=True, slots=True)
class Claim:
    """A webhook of now, which nobody has verified yet."""

    webhook_id: str
    signed: bytes
    signature: bytes
    body: bytes

    @classmethod
    def of(cls, header: Header, body: bytes, now_s: float) -> Self:
        """Raises AUTH_INVALID."""
        names = ("request-id", "user-id", "timestamp", "signature")
        webhook_id, user, stamp, signature = (header(f"x-fal-webhook-{name}") for name in names)
        check_stamp(stamp, now_s)
        try:
            spelled = bytes.fromhex(signature)
        except ValueError:
            raise refused() from None
        signed = "\n".join((webhook_id, user, stamp, hashlib.sha256(body).hexdigest()))
        return cls(webhook_id, signed.encode(), spelled, body)

    def is_by(self, keys: Iterable[Ed25519PublicKey]) -> bool:
        """Whether one of them has signed it."""
        return any(self._is_by(key) for key in keys)

    def told(self) -> Told:
        """What it is about. Raises AUTH_INVALID, MALFORMED_MESSAGE."""
        return told(self.webhook_id, self.body)

    def _is_by(self, key: Ed25519PublicKey) -> bool:
        try:
            key.verify(self.signature, self.signed)
        except InvalidSignature:
            return False
        return True
