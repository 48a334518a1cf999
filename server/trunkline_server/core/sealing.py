"""Envelope encryption: secrets lie under a key of their tenant, and those keys under a key of the installation.

    api key ── sealed with ──▶ tenant's key ── wrapped with ──▶ newest key of the ring

Every seal is bound to its place: what is moved to another tenant, table, column or row does not open there.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
DERIVED_VERSION: Final = 0
_PURPOSE: Final = b"trunkline key of keys 1"


class SealBroken(Exception):
    """A seal that does not open: another key, another place, or changed bytes. Says nothing more."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something sealed lies, and the version of the key that seals it there."""

    tenant_id: UUID
    table: str
    column: str
    row: str
    key_version: int

    @property
    def bound(self) -> bytes:
        """What the seal vouches for beside its content."""
        return f"{self.tenant_id.hex}|{self.table}|{self.column}|{self.row}|{self.key_version}".encode()


def new_key() -> bytes:
    """A key for one tenant."""
    return secrets.token_bytes(KEY_BYTES)


def seal(key: bytes, content: bytes, place: Place) -> bytes:
    """AES-256-GCM under a random nonce, which stands in front."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, content, place.bound)


def unseal(key: bytes, sealed: bytes, place: Place) -> bytes:
    """The content. Raises SealBroken."""
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place.bound)
    except (InvalidTag, ValueError):
        raise SealBroken from None


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The installation's keys by version: the newest wraps, all unwrap."""

    keys: Mapping[int, bytes] = field(repr=False)

    @classmethod
    def of(cls, given: Mapping[int, bytes], installation_secret: bytes) -> Self:
        """What the operator gave, and version 0, derived from the installation, which wraps where nothing is given."""
        return cls({DERIVED_VERSION: hmac.digest(installation_secret, _PURPOSE, hashlib.sha256), **given})

    @property
    def newest(self) -> int:
        return max(self.keys)

    def wrap(self, key: bytes, place: Place) -> bytes:
        """Raises SealBroken where the ring has no key of that version."""
        return seal(self._key(place.key_version), key, place)

    def unwrap(self, wrapped: bytes, place: Place) -> bytes:
        """Raises SealBroken."""
        return unseal(self._key(place.key_version), wrapped, place)

    def _key(self, version: int) -> bytes:
        if version not in self.keys:
            raise SealBroken
        return self.keys[version]
