"""Standard Webhooks 1.0.0: secrets, signatures, and when a delivery is tried again."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SECRET_PREFIX: Final = "whsec_"
PRIVATE_PREFIX: Final = "whsk_"
PUBLIC_PREFIX: Final = "whpk_"
SECRET_BYTES: Final = 32
TOLERANCE_S: Final = 300
"""How far the clock of who signs may be from that of who verifies."""
PAUSES_S: Final = (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
"""Between one attempt and the next; the first one is made at once."""
JITTER: Final = 0.1
RETRY_AFTER_S_MAX: Final = 24 * 3600


def new_secret() -> str:
    """A secret as both sides keep it."""
    return SECRET_PREFIX + b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def new_key_pair() -> tuple[str, str]:
    """A private key, which only signs, and the public one that receivers verify with."""
    private = Ed25519PrivateKey.generate()
    seed, public = private.private_bytes_raw(), private.public_key().public_bytes_raw()
    return PRIVATE_PREFIX + b64encode(seed).decode(), PUBLIC_PREFIX + b64encode(public).decode()


def key_of(secret: str) -> bytes:
    """The bytes in a secret. Raises ValueError where it is none."""
    return b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)


def signature(secret: str, webhook_id: str, timestamp_s: int, body: bytes) -> str:
    """`v1,...`, or `v1a,...` with a private key."""
    signed = b"%b.%d.%b" % (webhook_id.encode(), timestamp_s, body)
    if secret.startswith(PRIVATE_PREFIX):
        private = Ed25519PrivateKey.from_private_bytes(b64decode(secret.removeprefix(PRIVATE_PREFIX)))
        return "v1a," + b64encode(private.sign(signed)).decode()
    return "v1," + b64encode(hmac.digest(key_of(secret), signed, hashlib.sha256)).decode()


def is_signed(secret: str, webhook_id: str, timestamp_s: int, body: bytes, signatures: str) -> bool:
    """Whether one of several signatures, with spaces between, is the secret's."""
    right = signature(secret, webhook_id, timestamp_s, body).encode()
    return any(hmac.compare_digest(right, each.encode()) for each in signatures.split())


def pause_s(attempt: int, chance: float) -> float | None:
    """How long to wait behind the `attempt`th attempt, 1 being the first; None: that was the last.

    `chance`, 0 to 1, spreads it by a tenth, so that what failed together does not come back together.
    """
    if attempt > len(PAUSES_S):
        return None
    return PAUSES_S[attempt - 1] * (1 + JITTER * (2 * chance - 1))
