"""The connections to one origin: the last one used is the next one used, and there are never too many."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import astuple, dataclass
from typing import Final

from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.providers.http.connection import Connection
from trunkline_server.providers.http.dial import Dial
from trunkline_server.providers.http.network import Network
from trunkline_server.providers.http.origin import Origin
from trunkline_server.providers.http.settings import ClientSettings

_READ_BYTES_MAX: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class PoolFigures:
    """Connections of a pool as they are now, and exchanges since it was made."""

    in_use_count: int
    idle_count: int
    max_count: int
    exchange_count: int
    reused_count: int

    def __add__(self, other: PoolFigures) -> PoolFigures:
        return PoolFigures(*(mine + its for mine, its in zip(astuple(self), astuple(other), strict=True)))


class Pool:
    """A call holds a place while it has a connection; idle connections hold none, and are used before a new one."""

    def __init__(self, origin: Origin, settings: ClientSettings, network: Network) -> None:
        self._settings = settings
        self._dial = Dial(origin, settings.ca_file, network)
        self._places = asyncio.Semaphore(settings.connections_max)
        self._idle: deque[Connection] = deque()
        self._open: set[Connection] = set()
        self._all_closed = asyncio.Event()
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._buffer: memoryview | None = None
        self._in_use = self._exchanges = self._reused = 0

    @property
    def figures(self) -> PoolFigures:
        return PoolFigures(self._in_use, len(self._idle), self._settings.connections_max, self._exchanges, self._reused)

    async def take(self) -> Connection:
        """An idle connection at once, else a place and a new one. Raises UpstreamFailure (NEVER_SENT)."""
        if not self._places.locked() and (kept := self._kept()):
            await self._places.acquire()  # does not wait
            return self._taken(kept)
        try:
            async with asyncio.timeout(self._settings.connect_timeout_s):
                return self._taken(await self._take_in_turn())
        except (OSError, ValueError):  # no name, no answer, no trust, no time
            raise UpstreamFailure(FailureKind.NEVER_SENT) from None

    def give_back(self, connection: Connection) -> None:
        """After the exchange."""
        self._places.release()
        self._in_use -= 1
        if connection.let_go():
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
            if self._timer is None:
                self._sweep_in(self._settings.keep_alive_s)

    async def close(self) -> None:
        """Close every connection, and wait until their sockets are."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for connection in tuple(self._open):
            connection.abort()
        while self._open:
            self._all_closed.clear()
            await self._all_closed.wait()

    def _taken(self, connection: Connection) -> Connection:
        self._in_use += 1
        self._exchanges += 1
        self._reused += connection.idle_since > 0
        return connection

    async def _take_in_turn(self) -> Connection:
        await self._places.acquire()
        try:
            return self._kept() or await self._new()
        except BaseException:
            self._places.release()
            raise

    def _kept(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.quiet:
                return connection
            connection.abort()
        return None

    async def _new(self) -> Connection:
        connection = await self._dial.connect(self._make)
        if self._closed:
            connection.abort()
        if connection.closing:  # by us, or by a provider who thought better of it
            raise ConnectionError
        return connection

    def _make(self) -> Connection:
        if self._buffer is None:
            self._buffer = memoryview(bytearray(_READ_BYTES_MAX))
        return Connection(self._buffer, self._settings.read_timeout_s, self, self._settings.age_s_max)

    # what the connections say

    def opened(self, connection: Connection) -> None:
        self._open.add(connection)

    def lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if not self._open:
            self._all_closed.set()

    # one timer closes what nobody used for too long

    def _sweep_in(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        while self._idle:
            left_s = self._idle[0].idle_since + self._settings.keep_alive_s - now
            if left_s > 0:
                return self._sweep_in(left_s)
            self._idle.popleft().abort()
        return None
