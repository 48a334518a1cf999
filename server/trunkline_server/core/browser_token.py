"""Tokens for pages and apps: `tlb_<what it is good for>.<signature>`, short-lived, for one user, some models, a budget.

Whoever has the installation's secret can tell that a token is one, so there is nothing to look up but the key that it
was made with: when that is revoked, its tokens are.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Self
from uuid import UUID

import msgspec

PREFIX: Final = "tlb_"
SCOPE: Final = "chat:write"
"""All that a token may do, where its key may."""
CHARS_MAX: Final = 8192
_PURPOSE: Final = b"trunkline browser tokens 1"


class BrowserToken(msgspec.Struct, frozen=True, array_like=True):
    """What a token is good for. `origins` are the pages that may use it; empty: whoever has it."""

    token_id: UUID
    key_id: str
    user_id: str
    models: tuple[str, ...]
    budget_nanos: int
    expire_s: int
    origins: tuple[str, ...] = ()

    @property
    def expire_time(self) -> datetime:
        return datetime.fromtimestamp(self.expire_s, UTC)


@dataclass(frozen=True, slots=True)
class BrowserTokens:
    """Makes and reads tokens with a key of its own, derived from the installation's secret."""

    key: bytes = field(repr=False)

    @classmethod
    def derive(cls, secret: bytes) -> Self:
        """The tokens of an installation."""
        return cls(hmac.digest(secret, _PURPOSE, hashlib.sha256))

    def spell(self, token: BrowserToken) -> str:
        return self._signed(_text(msgspec.json.encode(token)))

    def read(self, text: str) -> BrowserToken | None:
        """Made again and compared as a whole; None for what we have not made. It may be over."""
        told = text.removeprefix(PREFIX).partition(".")[0]
        if len(text) > CHARS_MAX or not text.isascii() or not hmac.compare_digest(text, self._signed(told)):
            return None
        return msgspec.json.decode(urlsafe_b64decode(told + "=" * (-len(told) % 4)), type=BrowserToken)

    def _signed(self, told: str) -> str:
        return f"{PREFIX}{told}.{_text(hmac.digest(self.key, told.encode(), hashlib.sha256))}"


def _text(data: bytes) -> str:
    """Nothing that a header, an address or the name of a protocol could not hold."""
    return urlsafe_b64encode(data).decode().rstrip("=")
