"""Takes from every limit that a call comes under, in one step, before it begins; corrects that when it has ended."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from trunkline_server.core.call import Call
from trunkline_server.core.errors import QuotaViolation, Reason, TrunklineError
from trunkline_server.core.ids import new_uuid
from trunkline_server.core.limiting import Look
from trunkline_server.core.rate_limit import CONCURRENCY, TOKENS, RateLimit, Subject
from trunkline_server.gateway.limits.book import Book
from trunkline_server.gateway.limits.counters import Ask, Counters, Told
from trunkline_server.gateway.limits.grant import Grant, Taken

REMAINING_TRAILER: Final = "x-ratelimit-remaining"
LEASE_AFTER_DEADLINE_S: Final = 10.0
PLACE_FREE_S: Final = 1.0
"""When to ask again for a place among those that run: nobody knows when one of them ends."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What is left of a limit."""

    limit: RateLimit
    look: Look
    now_us: int


class Limiter:
    """Where no limit is set, nothing is asked."""

    def __init__(self, book: Book, counters: Counters) -> None:
        self.book = book
        self.counters = counters
        self._going: set[asyncio.Task[None]] = set()

    @property
    def degraded(self) -> bool:
        """Counts for this replica alone, where replicas should count together."""
        return self.counters.degraded

    async def take(self, call: Call, subject: Subject, tokens: int, grant: Grant | None = None) -> Grant | None:
        """Let a call begin, or one that has a `grant` go on elsewhere. Raises RATE_LIMITED, CONCURRENCY_LIMITED."""
        rates = self.book.rates(call.caller.tenant_id)
        if not rates:
            return grant
        grant = grant or Grant(new_uuid().hex)
        bounds = [(limit, bound) for limit in rates if (bound := limit.bound(subject)) is not None]
        if left := grant.leave({bound.key for _, bound in bounds}):
            self._later(self._close(left, grant.lease, 0))
        wanted = [
            (limit, Ask(bound, min(tokens if limit.unit == TOKENS else 1, bound.most)))
            for limit, bound in bounds
            if grant.lacks(bound.key)
        ]
        if wanted:
            await self._take(call, grant, wanted)
        return grant

    async def settle(self, grant: Grant, tokens: int) -> None:
        """The call has ended and used so many tokens. Goes on though the caller leaves."""
        await self._finish(self._close(grant.taken.values(), grant.lease, tokens))

    async def undo(self, grant: Grant) -> None:
        """The call was refused for another reason: it does not count."""
        await self._finish(self._give([(taken.by, taken.undone()) for taken in grant.taken.values()], grant.lease))

    async def quotas(self, tenant_id: UUID, subject: Subject) -> list[Quota]:
        """What is left of every limit that such a call would come under."""
        bounds = [(limit, bound) for limit in self.book.rates(tenant_id) if (bound := limit.bound(subject)) is not None]
        if not bounds:
            return []
        told = await self.counters.look([bound for _, bound in bounds])
        return [Quota(limit, look, told.now_us) for (limit, _), look in zip(bounds, told.looks, strict=True)]

    async def close(self) -> None:
        """Waits for what is still to be given back."""
        await asyncio.gather(*self._going, return_exceptions=True)

    async def _take(self, call: Call, grant: Grant, wanted: Sequence[tuple[RateLimit, Ask]]) -> None:
        lease_s = call.deadline - asyncio.get_running_loop().time() + LEASE_AFTER_DEADLINE_S
        asks = [ask for _, ask in wanted]
        try:
            told = await self.counters.take(asks, grant.lease, round(lease_s * 1e6))
        except asyncio.CancelledError:  # it may have been taken all the same
            self._later(self.counters.give([Ask(ask.bound, 0) for ask in asks], grant.lease))
            raise
        call.trailers[REMAINING_TRAILER] = _remaining(wanted, told)
        if told.refused is not None:
            raise _refusal(wanted[told.refused][0], told.looks[told.refused], degraded=told.by.degraded)
        for (limit, _), ask in zip(wanted, told.asks, strict=True):
            grant.taken[ask.bound.key] = Taken(limit, ask, told.by)

    async def _close(self, some: Iterable[Taken], lease: str, tokens: int) -> None:
        await self._give([(taken.by, ask) for taken in some if (ask := taken.corrected(tokens))], lease)

    async def _give(self, asks: Iterable[tuple[Counters, Ask]], lease: str) -> None:
        by_counters: defaultdict[int, list[Ask]] = defaultdict(list)
        counters = {}
        for by, ask in asks:
            counters[id(by)] = by
            by_counters[id(by)].append(ask)
        for number, each in counters.items():
            await each.give(by_counters[number], lease)

    async def _finish(self, work: Coroutine[Any, Any, None]) -> None:
        await asyncio.shield(self._later(work))

    def _later(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._going.add(task)
        task.add_done_callback(self._going.discard)
        return task


def _remaining(wanted: Sequence[tuple[RateLimit, Ask]], told: Told) -> str:
    """The least that is left of each unit, as `requests=3, tokens=1200`."""
    least: dict[str, int] = {}
    for (limit, _), look in zip(wanted, told.looks, strict=True):
        least[limit.unit] = min(look.remaining, least.get(limit.unit, look.remaining))
    return ", ".join(f"{unit}={max(left, 0)}" for unit, left in sorted(least.items()))


def _refusal(limit: RateLimit, look: Look, *, degraded: bool) -> TrunklineError:
    left = max(look.remaining, 0)
    metadata = {"limit": limit.name, "unit": limit.unit, "remaining": str(left), "amount": str(limit.amount)}
    if degraded:
        metadata["degraded"] = "true"
    at_once = limit.unit == CONCURRENCY
    span = "at once" if at_once else f"in {limit.window_us / 1e6:g} s"
    return TrunklineError(
        Reason.CONCURRENCY_LIMITED if at_once else Reason.RATE_LIMITED,
        f"the limit {limit.name!r} is {limit.amount} {'calls' if at_once else limit.unit} {span}",
        quota=(QuotaViolation(f"rate_limit:{limit.name}", f"{left} of {limit.amount} {limit.unit} are left"),),
        metadata=metadata,
        retry_after_s=min(look.wait_us / 1e6, PLACE_FREE_S) if at_once else look.wait_us / 1e6,
    )
