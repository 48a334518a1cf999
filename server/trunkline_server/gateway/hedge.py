"""Asking a second provider for a whole answer when the first takes longer than it nearly always does.

The first good answer counts and is all that the caller pays; the other attempt is broken off, and what it has cost us
is added to the cost. Off unless the operator allows it and the call asks for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from trunkline_server.core.errors import TrunklineError
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.gateway.line import Visit
from trunkline_server.gateway.run import Run


@dataclass(frozen=True, slots=True)
class Spare:
    """The second attempt: a run of its own beside the first, which was let in."""

    run: Run[Any]
    visit: Visit


async def hedged(run: Run[Any], visit: Visit, after_s: float, spare_of: Callable[[], Awaitable[Spare | None]]) -> None:
    """One attempt, and a second beside it where the first is slow. Raises what the first raises if both fail."""
    first: asyncio.Future[None] = asyncio.ensure_future(run.attempt())
    tasks = {first}
    try:
        await asyncio.wait(tasks, timeout=after_s)
        spare = None if first.done() else await spare_of()
        if spare is None:
            await first
            return
        second = asyncio.ensure_future(_second(spare))
        tasks.add(second)
        await _until_good(tasks)
        if _is_good(first) or not _is_good(second):
            await _end(second)
            run.overtake(spare.run)
            await first
        else:
            visit.lost()
            await _end(first)
            run.overtake(run)
            run.adopt(spare.run)
    finally:
        for task in tasks:
            await _end(task)


async def _second(spare: Spare) -> None:
    with spare.visit:
        try:
            await spare.run.attempt()
        except TrunklineError:  # it cannot be spelled for that provider
            raise UpstreamFailure(FailureKind.INVALID) from None


async def _until_good(tasks: set[asyncio.Future[None]]) -> None:
    """Until one has an answer, or none is left."""
    left = set(tasks)
    while left and not any(_is_good(task) for task in tasks):
        _, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)


def _is_good(task: asyncio.Future[None]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


async def _end(task: asyncio.Future[None]) -> None:
    """Break it off, and take its last word."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()
