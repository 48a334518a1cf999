"""Counts in Redis, together with all replicas; while it is away, each replica counts its share of every limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from trunkline_server.core.limiting import Bound, Look
from trunkline_server.gateway.limits.counters import Ask, Told
from trunkline_server.gateway.limits.local import LocalCounters
from trunkline_server.store import redis
from trunkline_server.store.redis import RedisAwayError, SharedMemory

REPLICA_S: Final = 15
"""How long a replica counts as there after it said so."""
HERE_AGAIN_S: Final = 5

_SCRIPTS: Final = Path(redis.__file__).parent
_REPLICAS: Final = "trunkline:replicas"
_PREFIX: Final = "trunkline:limit:"


class SharedCounters:
    """One script for each decision, on Redis' own clock."""

    degraded = False

    def __init__(self, memory: SharedMemory, clock_us: Callable[[], int] | None = None) -> None:
        self._memory = memory
        self._clock_us = clock_us or (lambda: 0)
        self._decide = memory.script(_SCRIPTS / "limits.lua")

    async def take(self, asks: Sequence[Ask], lease: str, lease_us: int) -> Told:
        return await self._run("take", asks, lease, lease_us)

    async def give(self, asks: Sequence[Ask], lease: str) -> None:
        await self._run("give", asks, lease, 0)

    async def look(self, bounds: Sequence[Bound]) -> Told:
        return await self._run("look", [Ask(bound, 0) for bound in bounds], "", 0)

    async def _run(self, mode: str, asks: Sequence[Ask], lease: str, lease_us: int) -> Told:
        """Raises RedisAwayError."""
        keys = [_PREFIX + ask.bound.key for ask in asks]
        args: list[str | int] = [mode, self._clock_us(), lease, lease_us]
        for bound, units, taken_us in asks:
            args += (bound.algorithm.value, bound.amount, bound.window_us, bound.burst, units, taken_us)
        now_us, refused, *told = await self._memory.ask(lambda: self._decide(keys, args))
        looks = [Look(*told[place : place + 3]) for place in range(0, len(told), 3)]
        taken = [ask._replace(taken_us=now_us) for ask in asks]
        return Told(now_us, refused - 1 if refused else None, looks, self, taken)


class SharingCounters:
    """The shared ones while they answer; else this replica's share. `replicas` is how many there were last."""

    def __init__(self, memory: SharedMemory, replica_id: str, replicas_min: int) -> None:
        self._memory = memory
        self._shared = SharedCounters(memory)
        self._own = LocalCounters(degraded=True)
        self._replica_id = replica_id
        self._replicas_min = replicas_min
        self._present = memory.script(_SCRIPTS / "replicas.lua")
        self.replicas = replicas_min

    @property
    def degraded(self) -> bool:
        return self._memory.is_away

    async def take(self, asks: Sequence[Ask], lease: str, lease_us: int) -> Told:
        try:
            return replace(await self._shared.take(asks, lease, lease_us), by=self)
        except RedisAwayError:
            return await self._own.take([self._share(ask) for ask in asks], lease, lease_us)

    async def give(self, asks: Sequence[Ask], lease: str) -> None:
        """To the shared ones; what they do not hear of is lost, and a lease ends by itself."""
        try:
            await self._shared.give(asks, lease)
        except RedisAwayError:
            return

    async def look(self, bounds: Sequence[Bound]) -> Told:
        try:
            return await self._shared.look(bounds)
        except RedisAwayError:
            return await self._own.look([bound.share(self.replicas) for bound in bounds])

    async def count_replicas(self) -> None:
        """Say that this one is there, and hear how many are; keeps the last number while Redis is away."""
        try:
            count = await self._memory.ask(
                lambda: self._present([_REPLICAS], [self._replica_id, REPLICA_S * 1_000_000])
            )
        except RedisAwayError:
            return
        self.replicas = max(count, self._replicas_min)

    def _share(self, ask: Ask) -> Ask:
        bound = ask.bound.share(self.replicas)
        return Ask(bound, min(ask.units, bound.most), ask.taken_us)
