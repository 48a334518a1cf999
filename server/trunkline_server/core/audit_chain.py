"""The chain of the audit: how an entry hangs on the one before it, and how a head is signed.

    hash of an entry = SHA-256(hash before, the entry as a JSON array in PostgreSQL's spelling)

The hash shows what was changed, taken out or put in. Only a signature made earlier shows that the end was cut off, or
that all of it was made anew; the key of signatures is not in the database where a pepper is set.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Self
from uuid import UUID

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PURPOSE: Final = b"trunkline audit heads 1"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to which. An empty `principal`: the gateway itself, or somebody at the database."""

    tenant_id: UUID
    sequence: int
    create_time: datetime
    principal: str
    action: str
    resource: str
    method: str
    request_id: str
    hash: bytes

    def hash_after(self, before: bytes) -> bytes:
        """What its hash must be."""
        micros = (self.create_time - _EPOCH) // timedelta(microseconds=1)
        said = (self.principal, self.action, self.resource, self.method, self.request_id)
        spelled = json.dumps([str(self.tenant_id), self.sequence, micros, *said], ensure_ascii=False)
        return hashlib.sha256(before + spelled.encode()).digest()


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The end of a tenant's chain at some time."""

    tenant_id: UUID
    sequence: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class HeadKey:
    """Signs heads, and knows its signatures."""

    key: bytes = field(repr=False)

    @classmethod
    def derive(cls, secret: bytes) -> Self:
        """The key of an installation."""
        return cls(hmac.digest(secret, _PURPOSE, hashlib.sha256))

    def sign(self, head: AuditHead) -> bytes:
        told = head.tenant_id.bytes + head.sequence.to_bytes(8) + head.hash
        return hmac.digest(self.key, told, hashlib.sha256)

    def signed(self, head: AuditHead, signature: bytes) -> bool:
        """Whether this head was signed here."""
        return hmac.compare_digest(self.sign(head), signature)
