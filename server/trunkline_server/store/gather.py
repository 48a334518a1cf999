"""Group commit for anything: what many ask for while one statement is on its way goes out together as the next one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

from trunkline_server.core.errors import TrunklineError

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class Gather(Generic[Item, Outcome]):
    """`apply` takes a list and returns an outcome for each, in order. Items of one `key` never go together."""

    def __init__(
        self,
        apply: Callable[[Sequence[Item]], Awaitable[Sequence[Outcome]]],
        key: Callable[[Item], Hashable],
        batch_max: int = 64,
    ) -> None:
        self._apply = apply
        self._key = key
        self._batch_max = batch_max
        self._queue: deque[tuple[Item, asyncio.Future[Outcome]]] = deque()
        self._worker: asyncio.Task[None] | None = None

    async def put(self, item: Item) -> Outcome:
        """Its outcome. A caller who leaves takes nothing back."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._queue.append((item, future))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work(), name="store.gather")
        return await future

    async def _work(self) -> None:
        try:
            while self._queue:
                await self._do(self._take())
        finally:
            self._worker = None
            for _, future in self._queue:
                future.cancel()

    def _take(self) -> list[tuple[Item, asyncio.Future[Outcome]]]:
        keys: set[Hashable] = set()
        batch: list[tuple[Item, asyncio.Future[Outcome]]] = []
        while self._queue and len(batch) < self._batch_max and (key := self._key(self._queue[0][0])) not in keys:
            keys.add(key)
            batch.append(self._queue.popleft())
        return batch

    async def _do(self, batch: list[tuple[Item, asyncio.Future[Outcome]]]) -> None:
        try:
            outcomes = await self._apply([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - what one item brought about must not fail its neighbours
            if len(batch) > 1 and not isinstance(error, TrunklineError):
                for each in batch:
                    await self._do([each])
            else:
                _fail([future for _, future in batch], error)
        else:
            for (_, future), outcome in zip(batch, outcomes, strict=True):
                if not future.done():
                    future.set_result(outcome)


def _fail(futures: Sequence[asyncio.Future[Outcome]], error: Exception) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)
            future.exception()  # seen: a caller that has left need not fetch it
