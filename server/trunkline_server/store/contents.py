"""Where the bytes of files lie: in pieces with names of their own, each written once, whole, and never changed."""

from __future__ import annotations

from typing import Final, Protocol
from uuid import UUID

PIECE_BYTES: Final = 4 * 1024 * 1024
PUT_S_MAX: Final = 60.0
"""A piece that is not there after this time is not on its way any more."""


class Contents(Protocol):
    """A place for pieces. Every method raises STORE_UNAVAILABLE where it does not answer."""

    async def put(self, piece_id: UUID, data: bytes) -> None:
        """Safe once this returns. A name is used once."""

    async def get(self, piece_id: UUID) -> bytes:
        """The bytes, which have been put."""

    async def delete(self, piece_id: UUID) -> None:
        """Forget it; no fault where it is not there."""

    async def close(self) -> None:
        """Nothing is asked of it any more."""
