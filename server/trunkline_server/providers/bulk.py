"""A provider's batch API over its own transport: what a craft has spelled is sent, the answers are read in pieces."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.providers.client import Response
from trunkline_server.providers.provider import PRODUCT_BYTES_MAX, Upstream
from trunkline_server.wire.bulk import BulkCraft, Entry, Line, Page, Standing
from trunkline_server.wire.frames import LineStream
from trunkline_server.wire.http import HttpRequest

PAGES_MAX: Final = 100_000


@dataclass(frozen=True, slots=True)
class Bulk:
    """One provider's. Every method raises UpstreamFailure."""

    upstream: Upstream
    craft: BulkCraft

    async def upload(self, lines: Sequence[Line]) -> str:
        """What has to be there first; empty where nothing has to."""
        request = self.craft.upload(lines)
        return self.craft.uploaded(await self._asked(request)) if request else ""

    async def submit(self, model: str, lines: Sequence[Line], uploaded: str) -> str:
        """Begins a batch; what the provider calls it."""
        return self.craft.submitted(uploaded, await self._asked(self.craft.submit(model, lines, uploaded)))

    async def poll(self, operation: str) -> Standing:
        """How far it is."""
        return self.craft.polled(operation, await self._asked(self.craft.poll(operation)))

    async def cancel(self, operation: str) -> None:
        """Asks to end it early."""
        await self._asked(self.craft.cancel(operation))

    async def results(self, operation: str, first: HttpRequest) -> AsyncGenerator[Sequence[Entry], None]:
        """The answers, some at a time."""
        request: HttpRequest | None = first
        for _ in range(PAGES_MAX):
            if request is None:
                return
            if self.craft.in_lines:
                async with aclosing(self._lines(operation, request)) as lines:
                    async for entries in lines:
                        yield entries
                return
            page = self.craft.page(operation, await self._asked(request))
            yield page.entries
            request = page.onward
        raise UpstreamFailure(FailureKind.BROKEN)

    async def _lines(self, operation: str, request: HttpRequest) -> AsyncGenerator[Sequence[Entry], None]:
        frames = LineStream()
        async with self.upstream.transport.open(request) as response:
            await self.upstream.accept(response)
            async with aclosing(response.chunks()) as chunks:
                async for data in chunks:
                    yield self._read(operation, frames.feed(data))
            yield self._read(operation, frames.close())

    def _read(self, operation: str, lines: Sequence[bytes]) -> Sequence[Entry]:
        pages: list[Page] = [self.craft.page(operation, line) for line in lines]
        return [entry for page in pages for entry in page.entries]

    async def _asked(self, request: HttpRequest) -> bytes:
        response: Response
        async with self.upstream.transport.open(request) as response:
            await self.upstream.accept(response)
            return await response.read(request.answer_bytes_max or PRODUCT_BYTES_MAX)
