"""What work writes down of what it begins at a provider, so that nothing that costs money is begun twice."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeVar

from trunkline_server.core.failure import UpstreamFailure
from trunkline_server.wire.craft import Pending

_log = logging.getLogger(__name__)
_abandoning: set[asyncio.Task[None]] = set()

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Remote(Protocol[T_co]):
    """What a provider does in its own time. `operation` is JSON: whatever is needed to find it again."""

    @property
    def poll_s(self) -> float:
        """How long to wait before asking again."""

    async def submit(self) -> str:
        """Begin it; what it is called."""

    async def poll(self, operation: str) -> Pending | T_co:
        """How far it is, or what came of it. Asking changes nothing. Raises where it has failed."""

    async def abandon(self, operation: str) -> None:
        """Stop it, where the provider can."""


class Journal(Protocol):
    """Where it is written."""

    @property
    def goes_on(self) -> bool:
        """What was begun is left to whoever does the work next, and to their bill."""

    async def told(self, fraction: float, message: str) -> None:
        """How far the work is."""

    async def once(self, make: Callable[[], Awaitable[T]]) -> T:
        """Have something made that must not be made twice."""

    async def do(self, remote: Remote[T]) -> T:
        """Begin long work and wait for it, or go on waiting."""


class Unwritten:
    """For callers who wait: their work ends with their call."""

    goes_on: Final = False

    async def told(self, fraction: float, message: str) -> None:
        """Nobody listens."""

    async def once(self, make: Callable[[], Awaitable[T]]) -> T:
        return await make()

    async def do(self, remote: Remote[T]) -> T:
        operation = await remote.submit()
        try:
            while True:
                await asyncio.sleep(remote.poll_s)
                if not isinstance(state := await remote.poll(operation), Pending):
                    return state
        except asyncio.CancelledError:
            abandon(remote, operation)
            raise
        except UpstreamFailure as failure:
            if not failure.is_final:  # it may still go on
                abandon(remote, operation)
            raise


UNWRITTEN: Final = Unwritten()


def abandon(remote: Remote[object], operation: str) -> None:
    """Stops long work while its caller goes on leaving."""
    task = asyncio.get_running_loop().create_task(_abandon(remote, operation))
    _abandoning.add(task)
    task.add_done_callback(_abandoning.discard)


async def _abandon(remote: Remote[object], operation: str) -> None:
    try:
        await remote.abandon(operation)
    except UpstreamFailure as failure:
        _log.warning("operation.goes_on kind=%s", failure.kind.value)
