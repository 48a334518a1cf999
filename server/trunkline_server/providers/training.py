"""A provider's training of models over its own transport: what a craft has spelled is sent, the answers are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from trunkline.v1 import fine_tuning_pb2
from trunkline_server.providers.client import Response
from trunkline_server.providers.provider import BODY_BYTES_MAX, Upstream
from trunkline_server.wire.http import HttpRequest
from trunkline_server.wire.tuning import Lesson, Standing, Told, TuningCraft


@dataclass(frozen=True, slots=True)
class Training:
    """One provider's. Every method raises UpstreamFailure."""

    upstream: Upstream
    craft: TuningCraft

    async def begin(self, lesson: Lesson, name: str) -> str:
        """Begins it, under a name by which a provider can know it again; what the provider calls it."""
        request, header = self.craft.begin(lesson), self.upstream.provider.idempotency_header
        if header:
            request = replace(request, headers={**request.headers, header: name})
        return self.craft.begun(await self._asked(request))

    async def poll(self, operation: str) -> Standing:
        """How far it is."""
        return self.craft.polled(await self._asked(self.craft.poll(operation)))

    async def events(self, operation: str) -> Sequence[Told]:
        """The newest of what has happened, oldest first."""
        return self.craft.heard(await self._asked(self.craft.events(operation)))

    async def checkpoints(self, operation: str) -> Sequence[fine_tuning_pb2.FineTuneCheckpoint]:
        """The models on the way."""
        return self.craft.reached(await self._asked(self.craft.checkpoints(operation)))

    async def cancel(self, operation: str) -> None:
        """Asks to end it."""
        await self._asked(self.craft.cancel(operation))

    async def _asked(self, request: HttpRequest) -> bytes:
        response: Response
        async with self.upstream.transport.open(request) as response:
            await self.upstream.accept(response)
            return await response.read(BODY_BYTES_MAX)
