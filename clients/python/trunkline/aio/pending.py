"""Work that goes on by itself, and who waits for it after all."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import Any, Self

from trunkline.aio.connection import AsyncConnection, AsyncEvents
from trunkline.errors import TimedOut, Unavailable
from trunkline.progress import Wanted, teller
from trunkline.waiting import AGAIN_S, Patience


class AsyncPending(ABC):
    """As it was when it was last looked at."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    @property
    @abstractmethod
    def has_ended(self) -> bool: ...

    @property
    @abstractmethod
    def _progress(self) -> tuple[float, str]:
        """The share that is done, and what is being done."""

    @abstractmethod
    def _changes(self, left_s: float | None) -> AsyncEvents[Any]: ...

    @abstractmethod
    def _take(self, change: Any) -> bool:
        """Whether it has come further by it."""

    async def wait(self, *, timeout_s: float | None = None, progress: Wanted = False) -> Self:
        """Until it has ended, across replicas that come and go. `progress`: draw a bar, or call this."""
        tell, end = teller(progress)
        try:
            async for _ in self.watch(timeout_s=timeout_s):
                tell(*self._progress)
        finally:
            end()
        return self

    async def watch(self, *, timeout_s: float | None = None) -> AsyncIterator[Self]:
        """The same after each change. Raises `TimedOut` when it has not ended by then; the work goes on."""
        patience = Patience(timeout_s)
        while not self.has_ended:
            changes = self._changes(patience.left_s)
            try:
                async for change in changes:
                    if self._take(change):
                        yield self
            except (Unavailable, TimedOut) as error:
                await asyncio.sleep(patience.pause_s(error, AGAIN_S))
            finally:
                changes.cancel()
