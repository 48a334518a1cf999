"""API keys as text: `tl_<environment>_<key id>_<secret>_<checksum>`, which scanners for leaked secrets can tell.

Only a keyed hash of the secret is stored. The secret has 256 bits, so a plain HMAC is enough and costs microseconds.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass, field

PREFIX = "tl"
ID_LENGTH = 12
SECRET_LENGTH = 43  # 32 bytes
CHECKSUM_LENGTH = 6  # 32 bits

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SHAPE = re.compile(
    rf"(?P<body>{PREFIX}_(?P<environment>[a-z0-9]{{1,16}})_(?P<key_id>[0-9A-Za-z]{{{ID_LENGTH}}})"
    rf"_(?P<secret>[0-9A-Za-z]{{{SECRET_LENGTH}}}))_(?P<checksum>[0-9A-Za-z]{{{CHECKSUM_LENGTH}}})"
)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key in the clear: for its owner, once."""

    environment: str
    key_id: str
    secret: str = field(repr=False)

    @property
    def text(self) -> str:
        """The form that callers send."""
        body = f"{PREFIX}_{self.environment}_{self.key_id}_{self.secret}"
        return f"{body}_{_checksum(body)}"


def make(environment: str, key_id: str | None = None) -> ApiKey:
    """A new key; with `key_id`, a new secret for a key that exists."""
    secret = _base62(int.from_bytes(secrets.token_bytes(32)), SECRET_LENGTH)
    return ApiKey(environment, key_id or "".join(secrets.choice(_DIGITS) for _ in range(ID_LENGTH)), secret)


def parse(text: str) -> ApiKey | None:
    """The parts of a key, or None for anything that is not one, misspelt ones included."""
    found = _SHAPE.fullmatch(text)
    if found is None or found["checksum"] != _checksum(found["body"]):
        return None
    return ApiKey(found["environment"], found["key_id"], found["secret"])


def hash_secret(pepper: bytes, secret: str) -> bytes:
    """What is stored: worthless without the pepper, which lies elsewhere."""
    return hmac.new(pepper, secret.encode(), hashlib.sha256).digest()


def same_hash(stored: bytes, given: bytes) -> bool:
    """Compares in a time that does not tell how much was right."""
    return hmac.compare_digest(stored, given)


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
