"""Files with their bytes: pieces are added at the end, read from any place on, and swept away behind their file."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from trunkline_server.core import ids
from trunkline_server.core.errors import Reason, TrunklineError, invalid
from trunkline_server.store.contents import PUT_S_MAX, Contents
from trunkline_server.store.files import FileRow, Files

UNFINISHED: Final = timedelta(days=1)
SETTLED: Final = timedelta(seconds=2 * PUT_S_MAX)
SWEEP_PIECES: Final = 256


@dataclass(frozen=True)
class Archive:
    """`files` has the rows, `contents` the bytes."""

    files: Files
    contents: Contents

    async def add(self, file: FileRow, begin_bytes: int, data: bytes) -> None:
        """One more piece. Raises IDEMPOTENCY_IN_PROGRESS where somebody else has sent it."""
        piece_id = ids.new_uuid()
        if not await self.files.intend(file.id, piece_id, len(data)):
            raise _overtaken()
        await self.contents.put(piece_id, data)
        if not await self.files.place(file.id, piece_id, begin_bytes):
            raise _overtaken()

    async def read(self, file: FileRow, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """What is there of it, a piece at a time."""
        for piece in await self.files.pieces(file.id, offset):
            data = await self.contents.get(piece.id)
            yield data[max(0, offset - piece.begin_bytes) :]

    async def whole(self, file: FileRow, *, bytes_max: int, field: str) -> bytes:
        """A small one. Errors name `field`: MEDIA_INVALID, and VALIDATION where it is not complete."""
        if not file.is_ready:
            raise invalid(field, f"is not complete: {file.received_bytes} bytes of it have come")
        if file.received_bytes > bytes_max:
            raise invalid(field, f"has over {bytes_max} bytes", Reason.MEDIA_INVALID)
        async with aclosing(self.read(file)) as pieces:
            return b"".join([piece async for piece in pieces])

    async def sweep(self, unfinished: timedelta = UNFINISHED, settled: timedelta = SETTLED) -> None:
        """Forget what is over its time, and the bytes of what is gone."""
        await self.files.expire(unfinished)
        while piece_ids := await self.files.gone_pieces(settled, SWEEP_PIECES):
            for piece_id in piece_ids:
                await self.contents.delete(piece_id)
                await self.files.forget_piece(piece_id)
        await self.files.forget_files(settled)


def _overtaken() -> TrunklineError:
    message = "the upload was ended, or somebody else sends the same file; ask how much is there"
    return TrunklineError(Reason.IDEMPOTENCY_IN_PROGRESS, message, retry_after_s=1.0)
