"""The door to Redis or Valkey. It answers in time or it is away: then nobody waits for it until it answers a probe.

near ──(failures in a row)──▶ away ──(a probe is answered)──▶ near
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

_log = logging.getLogger(__name__)

FAILURES_MAX: Final = 3
PROBE_PAUSE_MIN_S: Final = 0.2
PROBE_PAUSE_MAX_S: Final = 5.0
FAILURES: Final = (RedisError, OSError, TimeoutError)

Answer = TypeVar("Answer")


class RedisAwayError(Exception):
    """It did not answer in time, or is known to be away."""


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """`timeout_s` bounds each command, with the connecting before it."""

    url: str
    timeout_s: float = 0.05
    connections_max: int = 64


class SharedMemory:
    """What replicas share beside the database: counters and caches, whose loss costs accuracy and speed, no more."""

    def __init__(self, settings: RedisSettings) -> None:
        pool: BlockingConnectionPool = BlockingConnectionPool.from_url(
            settings.url,
            max_connections=settings.connections_max,
            timeout=settings.timeout_s,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=None,
            socket_connect_timeout=None,
            health_check_interval=0,
        )
        self.client: Final = Redis.from_pool(pool)
        self._timeout_s = settings.timeout_s
        self._failures_in_row = 0
        self._probing: asyncio.Task[None] | None = None

    @property
    def is_away(self) -> bool:
        """Nothing is sent until a probe is answered."""
        return self._probing is not None

    async def ask(self, command: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer of a command. Raises RedisAwayError, at once while it is away."""
        if self.is_away:
            raise RedisAwayError
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await command()
        except FAILURES as error:
            self._failed()
            raise RedisAwayError from error
        self._failures_in_row = 0
        return answer

    def script(self, file: Path) -> Callable[[Sequence[str], Sequence[str | int]], Awaitable[Any]]:
        """A Lua script, which runs as one step."""
        registered = self.client.register_script(file.read_text("utf-8"))
        return lambda keys, args: registered(keys=keys, args=args)

    async def close(self) -> None:
        """Ends every connection."""
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)
        await self.client.aclose()

    def _failed(self) -> None:
        self._failures_in_row += 1
        if self._failures_in_row >= FAILURES_MAX and self._probing is None:
            _log.warning("redis.away")
            self._probing = asyncio.create_task(self._until_near(), name="store.redis.probe")

    async def _until_near(self) -> None:
        pause_s = PROBE_PAUSE_MIN_S
        while not await self._answers():
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
            pause_s = min(pause_s * 2, PROBE_PAUSE_MAX_S)
        self._failures_in_row, self._probing = 0, None
        _log.warning("redis.near")

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(self._timeout_s):
                await self.client.ping()
        except FAILURES:
            return False
        return True
