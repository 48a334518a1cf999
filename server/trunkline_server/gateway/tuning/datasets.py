"""Datasets: made as files of what was said, and looked through a piece at a time."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from trunkline.v1 import files_pb2
from trunkline_server.core.call import Call
from trunkline_server.core.errors import Reason, TrunklineError, invalid
from trunkline_server.core.tuning.dataset import Dataset
from trunkline_server.core.tuning.example import line_of
from trunkline_server.core.tuning.rules import Rules
from trunkline_server.store.archive import Archive
from trunkline_server.store.contents import PIECE_BYTES
from trunkline_server.store.examples import Examples, Sought, Spoken
from trunkline_server.store.files import FileRow

MEDIA_TYPE: Final = "application/jsonl"
DATASET_BYTES_MAX: Final = 64 * 1024 * 1024
"""What can be passed on to a provider."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """Examples, a line each, and how much was found that is none."""

    lines: list[bytes]
    skipped_count: int


@dataclass(frozen=True)
class Datasets:
    """Reads and writes files of the tenant's."""

    archive: Archive
    examples: Examples

    async def looked_through(self, tenant_id: UUID, file_id: str, rules: Rules, field: str) -> Dataset:
        """Errors name `field`: MEDIA_INVALID, VALIDATION where it is not complete, RESOURCE_NOT_FOUND."""
        file = await self.archive.files.find(tenant_id, file_id)
        if not file.is_ready:
            raise invalid(field, f"is not complete: {file.received_bytes} bytes of it have come")
        if file.received_bytes > DATASET_BYTES_MAX:
            raise invalid(field, f"has over {DATASET_BYTES_MAX} bytes", Reason.MEDIA_INVALID)
        dataset = Dataset(rules)
        async with aclosing(self.archive.read(file)) as pieces:
            async for piece in pieces:
                await asyncio.to_thread(dataset.feed, piece)
        dataset.close()
        return dataset

    async def of_conversations(self, tenant_id: UUID, sought: Sought, most: int) -> Gathered:
        """Each is an example."""
        found = await self.examples.conversations(tenant_id, sought, most)
        return await _gathered(self._spoken(found), most)

    async def of_jobs(self, tenant_id: UUID, sought: Sought, most: int) -> Gathered:
        """Each is an example."""
        return await _gathered(self.examples.jobs(tenant_id, sought), most)

    async def keep(self, call: Call, name: str, lines: list[bytes]) -> FileRow:
        """As a file; a repeated call finds it there, and what an earlier one has left goes on."""
        data = b"".join(lines)
        digest = hashlib.sha256(data).digest()
        spec = files_pb2.FileSpec(
            filename=f"{name}.jsonl", media_type=MEDIA_TYPE, size_bytes=len(data), sha256=digest.hex()
        )
        caller, request_id = call.caller, f"dataset {call.idempotency_key}" if call.idempotency_key else ""
        file = await self.archive.files.begin(caller.tenant_id, caller.principal, spec, request_id, None)
        if file.is_ready:
            return file
        if file.spec != spec:  # what was found has changed since
            raise TrunklineError(Reason.IDEMPOTENCY_KEY_REUSED, "this request_id has begun another dataset")
        for begin in range(file.received_bytes, len(data), PIECE_BYTES):
            await self.archive.add(file, begin, data[begin : begin + PIECE_BYTES])
        kept = await self.archive.files.finish(file.id, len(data), digest)
        if kept is None:
            raise TrunklineError(Reason.IDEMPOTENCY_IN_PROGRESS, "the dataset was deleted meanwhile")
        return kept

    async def _spoken(self, found: list[tuple[UUID, str]]) -> AsyncGenerator[Spoken, None]:
        for conversation_id, system_prompt in found:
            yield await self.examples.spoken(conversation_id, system_prompt)


async def _gathered(found: AsyncGenerator[Spoken, None], most: int) -> Gathered:
    """As many as are wanted, and as fit into a file. Raises RESOURCE_NOT_FOUND where there are none."""
    lines: list[bytes] = []
    skipped = size = 0
    async with aclosing(found) as talks:
        async for spoken in talks:
            line = line_of(spoken.messages, spoken.tools)
            skipped += line is None
            if line is None:
                continue
            size += len(line)
            if size > DATASET_BYTES_MAX:
                break
            lines.append(line)
            if len(lines) >= most:
                break
    if not lines:
        message = f"nothing was found to learn from: {skipped} were looked at"
        raise TrunklineError(Reason.RESOURCE_NOT_FOUND, message)
    return Gathered(lines, skipped)
