"""The HTTP server itself: its listener, its connections, and going away in good order."""

from __future__ import annotations

import asyncio
import logging
import ssl
from contextlib import suppress
from typing import Final

from trunkline_server.edge.connection import Connection, Handler
from trunkline_server.edge.exchange import Exchange, Reply
from trunkline_server.edge.limits import Limits, Traffic

_log = logging.getLogger(__name__)

_BACKLOG: Final = 1024


class HttpServer:
    """Started once everything behind it is ready. `shared`: other processes serve at this address as well."""

    def __init__(
        self,
        address: str,
        limits: Limits,
        traffic: Traffic,
        handler: Handler,
        *,
        shared: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._tls = tls
        self._address = address
        self._shared = shared
        self.limits = limits
        self.traffic = traffic
        self._handler = handler
        self._connections: set[Connection] = set()
        self._listener: asyncio.Server | None = None
        self._empty = asyncio.Event()
        self.closing = False
        """No connection gets a second request."""

    async def start(self) -> str:
        """Bind and serve; the address in use. Raises OSError where it cannot be bound."""
        host, _, port = self._address.rpartition(":")
        loop = asyncio.get_running_loop()
        try:
            self._listener = await loop.create_server(
                lambda: Connection(self),
                host.strip("[]"),
                int(port),
                backlog=_BACKLOG,
                reuse_port=self._shared,
                ssl=self._tls,
                ssl_handshake_timeout=self.limits.head_s if self._tls else None,
            )
        except OSError as error:
            raise OSError(f"{self._address} cannot be bound; is another gateway running?") from error
        return f"{host}:{self._listener.sockets[0].getsockname()[1]}"

    async def stop(self, grace_s: float) -> None:
        """Take no new calls, let the running ones end, then cut them off."""
        self.closing = True
        if self._listener is not None:
            self._listener.close()
        for connection in [each for each in self._connections if not each.busy]:
            connection.close()
        if self._connections and grace_s:
            self._empty.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await self._empty.wait()
        for connection in list(self._connections):
            connection.abort()

    # what a connection asks

    async def handle(self, exchange: Exchange) -> None:
        try:
            await self._handler(exchange)
        except Exception as error:  # noqa: BLE001 - no fault of one request may end others
            _log.error("http.fault type=%s", type(error).__name__)
            if not exchange.begun:
                exchange.respond(Reply(500))

    def opened(self, connection: Connection) -> bool:
        """Whether there is room for it."""
        self.traffic.connections += 1
        if len(self._connections) >= self.limits.connections_max or self.closing:
            self.traffic.refused_connections += 1
            return False
        self._connections.add(connection)
        self.traffic.open_connections = len(self._connections)
        return True

    def lost(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()
        self.traffic.open_connections = len(self._connections)
