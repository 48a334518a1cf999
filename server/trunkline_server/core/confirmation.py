"""Tokens with which people confirm an action: each for one user, one action and its exact arguments, once, for a while.

A token is a random mark, the time of its end, and an HMAC over these and what it is for. Nothing is kept when one is
given out; the mark is kept when it is used.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self
from uuid import UUID

from trunkline.v1 import actions_pb2

LIFE_S: Final = 600
MARK_BYTES: Final = 16
_PURPOSE: Final = b"trunkline confirmation tokens 1"
_HEAD: Final = struct.Struct(f">{MARK_BYTES}sQ")


class Subject(NamedTuple):
    """What is confirmed."""

    tenant_id: UUID
    user_id: str
    action: actions_pb2.Action
    arguments_json: str

    @property
    def told(self) -> bytes:
        """Each part with its length, so that none can run into the next."""
        action = self.action.SerializeToString(deterministic=True)
        parts = (self.tenant_id.bytes, self.user_id.encode(), action, self.arguments_json.encode())
        return b"".join(len(part).to_bytes(4) + part for part in parts)


class Confirmed(NamedTuple):
    """A token that fits: its mark, which is good once, and until when."""

    mark: bytes
    expire_s: int


@dataclass(frozen=True, slots=True)
class Confirmations:
    """Gives out and reads tokens with a key of its own, derived from the installation's secret."""

    key: bytes = field(repr=False)

    @classmethod
    def derive(cls, secret: bytes) -> Self:
        """The tokens of an installation."""
        return cls(hmac.digest(secret, _PURPOSE, hashlib.sha256))

    def give(self, subject: Subject, expire_s: int) -> str:
        """A token that is good until `expire_s`, in seconds since 1970."""
        head = _HEAD.pack(secrets.token_bytes(MARK_BYTES), expire_s)
        return urlsafe_b64encode(head + self._seal(head, subject)).decode()

    def read(self, subject: Subject, token: str, now_s: float) -> Confirmed | None:
        """None for a token that is for something else, is over, or is none."""
        try:
            told = urlsafe_b64decode(token)
            mark, expire_s = _HEAD.unpack(told[: _HEAD.size])
        except (ValueError, struct.error):
            return None
        is_ours = hmac.compare_digest(told[_HEAD.size :], self._seal(told[: _HEAD.size], subject))
        return Confirmed(mark, expire_s) if is_ours and now_s < expire_s else None

    def _seal(self, head: bytes, subject: Subject) -> bytes:
        return hmac.digest(self.key, head + subject.told, hashlib.sha256)
