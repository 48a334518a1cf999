"""Hears what other processes announce (LISTEN): one connection, made again after an outage, with growing pauses.

A callback gets the payload, or None after a reconnect: announcements may have been missed, so look again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import asyncpg

from trunkline_server.store import queries
from trunkline_server.store.connection import DatabaseSettings, connect
from trunkline_server.store.outage import outage_told

Callback = Callable[[str | None], None]

PAUSE_MIN_S = 0.2
PAUSE_MAX_S = 5.0
PROBE_S = 10.0  # a peer that vanished without a word is found out this late

_SQL = queries.load(__file__)
_FAILURES = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class Listener:
    """Starts at the first channel. Callbacks run in the event loop and must not block."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        self._callbacks: dict[str, list[Callback]] = {}
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._using = asyncio.Lock()
        self._lost = asyncio.Event()
        self._missed = False
        self._keeper: asyncio.Task[None] | None = None

    async def listen(self, channel: str, callback: Callback) -> None:
        """Hears `channel` once this returns. With the database away it raises STORE_UNAVAILABLE, and hears the channel
        when the database is back, beginning with None."""
        self._callbacks.setdefault(channel, []).append(callback)
        self._keeper = self._keeper or asyncio.create_task(self._keep(), name="store.listener")
        async with self._using:
            with outage_told():
                connection = await self._live()
                await connection.add_listener(channel, self._heard)

    async def close(self) -> None:
        """Stops hearing."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        self._drop()

    async def _keep(self) -> None:
        pause_s = PAUSE_MIN_S
        while True:
            try:
                await self._probe()
                pause_s = PAUSE_MIN_S
                await self._until_lost(PROBE_S)
            except _FAILURES:
                self._drop()
                await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
                pause_s = min(pause_s * 2, PAUSE_MAX_S)

    async def _probe(self) -> None:
        async with self._using:
            connection = await self._live()
            await connection.fetchval(_SQL.probe)

    async def _until_lost(self, limit_s: float) -> None:
        try:
            async with asyncio.timeout(limit_s):
                await self._lost.wait()
        except TimeoutError:
            return
        raise ConnectionResetError("the listening connection was lost")

    async def _live(self) -> asyncpg.Connection[asyncpg.Record]:
        if self._connection is None:
            self._connection = await self._connected()
            self._tell_missed()
        return self._connection

    async def _connected(self) -> asyncpg.Connection[asyncpg.Record]:
        self._lost.clear()
        connection = await connect(self._settings)
        connection.add_termination_listener(lambda _: self._lost.set())
        for channel in self._callbacks:
            await connection.add_listener(channel, self._heard)
        return connection

    def _heard(self, _connection: object, _pid: int, channel: str, payload: object) -> None:
        for callback in self._callbacks[channel]:
            callback(str(payload))

    def _tell_missed(self) -> None:
        if self._missed:
            for callback in [callback for group in self._callbacks.values() for callback in group]:
                asyncio.get_running_loop().call_soon(callback, None)
        self._missed = False

    def _drop(self) -> None:
        self._missed = True
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
