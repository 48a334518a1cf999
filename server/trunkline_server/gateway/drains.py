"""Answers that are read on after their caller has left, because the provider bills them whole.

    read with the caller ──caller leaves──▶ left ──settle──▶ read on, bounded in time, length and number ──▶ bill
                                              └──the attempt failed──▶ closed

Only providers that are declared so (`CancelBilling.DRAIN`) come here; the others' answers pass untouched.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from trunkline_server.core.answer import Answer
from trunkline_server.core.cancel_billing import CancelBilling
from trunkline_server.core.errors import TrunklineError
from trunkline_server.core.failure import UpstreamFailure

if TYPE_CHECKING:
    from trunkline_server.gateway.chat_run import ChatRun
    from trunkline_server.gateway.run import Run

_log = logging.getLogger(__name__)

DRAIN_S: Final = 45.0
"""Less than a hold outlives its call."""
DRAINS_MAX: Final = 64
CHARS_MAX: Final = 4 * 1024 * 1024


@dataclass(slots=True)
class Left:
    """An answer without its caller: the read that is under way, and those that follow."""

    answer: Answer
    step: asyncio.Task[Any] | None
    rest: AsyncGenerator[None, None] | None = None

    async def read_on(self) -> bool:
        """To its end; False where it became too long."""
        with suppress(StopAsyncIteration):
            if self.step is not None:
                await self.step
            while self.rest is not None:
                self.answer.drain()
                if self.answer.output_chars > CHARS_MAX:
                    return False
                await anext(self.rest)
        return True

    async def close(self) -> None:
        """Lets go of the provider."""
        if self.step is not None and not self.step.done():
            self.step.cancel()
            await asyncio.wait((self.step,))
        if self.rest is not None:
            await self.rest.aclose()


class Drains:
    """The answers that are read on in this process."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, run: Run[Any], left: Left, settle: Callable[[], Awaitable[None]]) -> bool:
        """Reads on, then settles; False where too many are read already."""
        if len(self._tasks) >= DRAINS_MAX:
            return False
        task = asyncio.create_task(_drain(run, left, settle), name="gateway.drain")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def ended(self) -> None:
        """Stops reading: what has come in so far is billed."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def kept(run: ChatRun, reads: AsyncGenerator[None, None]) -> AsyncGenerator[None, None]:
    """The reads of an answer, such that they outlive a caller who leaves, where the provider bills it whole."""
    return _kept(run, reads) if _bills_all(run) else reads


def kept_whole(run: ChatRun, reading: Coroutine[Any, Any, None]) -> Coroutine[Any, Any, None]:
    """The same for an answer that comes in one piece."""
    return _kept_whole(run, reading) if _bills_all(run) else reading


async def _kept_whole(run: ChatRun, reading: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(reading)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        run.left = Left(run.answer, task)
        raise


async def _kept(run: ChatRun, reads: AsyncGenerator[None, None]) -> AsyncGenerator[None, None]:
    step: asyncio.Task[None] | None = None
    try:
        while True:
            step = asyncio.ensure_future(anext(reads))
            try:
                await asyncio.shield(step)
            except StopAsyncIteration:
                return
            step = None
            yield
    except (asyncio.CancelledError, GeneratorExit):
        run.left = Left(run.answer, step, reads)
        raise
    finally:
        if run.left is None:
            await reads.aclose()


async def _drain(run: Run[Any], left: Left, settle: Callable[[], Awaitable[None]]) -> None:
    """However it ends, the bill is written."""
    try:
        async with asyncio.timeout(DRAIN_S):
            run.in_flight = not await left.read_on()
    except (TimeoutError, UpstreamFailure, TrunklineError, asyncio.CancelledError) as error:
        _log.info("drain.cut completion=%s reason=%s", run.spelled_id, type(error).__name__)
    finally:
        await left.close()
        await settle()


def _bills_all(run: Run[Any]) -> bool:
    return run.route.upstream.provider.cancel_billing is CancelBilling.DRAIN
