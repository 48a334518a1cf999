"""Who is signed in to the dashboard: the API key itself, sealed, in a cookie that no script can read.

Nothing is kept here, so any replica opens what another has sealed, and a revoked key is out at once.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

COOKIE: Final = "trunkline_session"
PATH: Final = "/dashboard"
_PURPOSE: Final = b"trunkline dashboard sessions 1"
_NONCE_BYTES: Final = 12
_TIME_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Sessions:
    """`life_s` is how long a session lasts, used or not."""

    key: bytes = field(repr=False)
    life_s: int

    @classmethod
    def derive(cls, secret: bytes, life_s: int) -> Self:
        """The sessions of an installation."""
        return cls(hmac.digest(secret, _PURPOSE, hashlib.sha256), life_s)

    def begin(self, api_key: str, *, secure: bool) -> str:
        """The cookie of a new session."""
        ends = (int(time.time()) + self.life_s).to_bytes(_TIME_BYTES)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + AESGCM(self.key).encrypt(nonce, ends + api_key.encode(), _PURPOSE)
        return _cookie(urlsafe_b64encode(sealed).decode(), self.life_s, secure=secure)

    def end(self, *, secure: bool) -> str:
        """The cookie that takes its place."""
        return _cookie("", 0, secure=secure)

    def api_key(self, cookies: str) -> str | None:
        """The key of the session, where there is one that has not ended."""
        try:
            sealed = urlsafe_b64decode(_value(cookies))
            opened = AESGCM(self.key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _PURPOSE)
        except (InvalidTag, ValueError):
            return None
        ends, api_key = int.from_bytes(opened[:_TIME_BYTES]), opened[_TIME_BYTES:]
        return api_key.decode() if time.time() < ends else None


def _value(cookies: str) -> str:
    try:
        found = SimpleCookie(cookies).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _cookie(value: str, life_s: int, *, secure: bool) -> str:
    told = f"{COOKIE}={value}; Path={PATH}; Max-Age={life_s}; HttpOnly; SameSite=Strict"
    return f"{told}; Secure" if secure else told
