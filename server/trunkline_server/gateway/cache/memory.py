"""Kept answers in this process: no more bytes than allowed; what was not used for longest goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from trunkline_server.gateway.cache.key import CacheKey

ENTRY_BYTES: Final = 500
"""About what an entry takes beside its answer."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer, as a serialized `Completion`. It may be told as stale from the first time until the second."""

    completion: bytes
    fresh_until_ms: int
    kept_until_ms: int

    @property
    def size_bytes(self) -> int:
        return len(self.completion) + ENTRY_BYTES


class Memory:
    """By name."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._kept: OrderedDict[CacheKey, Kept] = OrderedDict()

    def find(self, key: CacheKey, now_ms: int) -> Kept | None:
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept.kept_until_ms <= now_ms:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return kept

    def put(self, key: CacheKey, kept: Kept) -> None:
        """What is larger than all that is allowed is not kept."""
        self._drop(key)
        if kept.size_bytes > self._bytes_max:
            return
        self._kept[key] = kept
        self._bytes += kept.size_bytes
        while self._bytes > self._bytes_max:
            self._drop(next(iter(self._kept)))

    def purge(self, tenant_id: UUID, provider: str = "", model: str = "") -> int:
        """How many there were."""
        gone = [key for key, _ in self.of(tenant_id, provider, model)]
        for key in gone:
            self._drop(key)
        return len(gone)

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self._bytes = 0

    def of(self, tenant_id: UUID, provider: str = "", model: str = "") -> Iterator[tuple[CacheKey, Kept]]:
        """What is kept of a tenant, of a provider's or of one model."""
        for key, kept in self._kept.items():
            if key.tenant_id == tenant_id and provider in ("", key.provider) and model in ("", key.model):
                yield key, kept

    def _drop(self, key: CacheKey) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= kept.size_bytes
