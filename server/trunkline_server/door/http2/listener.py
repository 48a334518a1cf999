"""Where callers come in: the sockets, their connections, and the way they are all brought to an end."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from typing import Final

from trunkline_server.door.http2.connection import Connection
from trunkline_server.door.http2.exchange import Rpc
from trunkline_server.door.http2.limits import Limits

_BACKLOG: Final = 1024
HANDSHAKE_S: Final = 10.0
_CLEAN_UP_S: Final = 5.0
_FLUSH_S: Final = 1.0


class Listener:
    """Serves methods by their path, such as `/grpc.health.v1.Health/Check`."""

    def __init__(self, rpcs: Mapping[str, Rpc], limits: Limits, tls: ssl.SSLContext | None = None) -> None:
        self._rpcs = rpcs
        self._limits = limits
        self._tls = tls
        self._servers: list[asyncio.Server] = []
        self._connections: set[Connection] = set()
        self._changed = asyncio.Event()

    async def start(self, host: str, port: int, *, shared: bool = False) -> int:
        """Listen; the port in use. Other processes listen there as well if it is shared. Raises OSError."""
        loop = asyncio.get_running_loop()
        handshake_s = HANDSHAKE_S if self._tls else None
        for listening in _sockets(host, port, shared=shared):
            server = await loop.create_server(
                self._connection, sock=listening, backlog=_BACKLOG, ssl=self._tls, ssl_handshake_timeout=handshake_s
            )
            self._servers.append(server)
        return int(self._servers[0].sockets[0].getsockname()[1])

    async def stop(self, grace_s: float) -> None:
        """No new connections; those that are there end when their calls do, after the grace at once."""
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            connection.leave()
        await self._gone_within(grace_s)
        tasks = self._tasks()
        for connection in list(self._connections):
            connection.cut()
        await self._gone_within(_FLUSH_S)
        for connection in list(self._connections):
            connection.abort()
        if tasks:
            await asyncio.wait(tasks, timeout=_CLEAN_UP_S)

    def _connection(self) -> Connection:
        """One that is there once it is made: a handshake that fails leaves nothing behind."""
        return Connection(self._rpcs, self._limits, self._connections.add, self._lost)

    def _lost(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._changed.set()

    async def _gone_within(self, limit_s: float) -> None:
        try:
            async with asyncio.timeout(limit_s):
                while self._connections:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [
            exchange.task
            for connection in self._connections
            for exchange in connection.calls.open.values()
            if exchange.task is not None
        ]


def _sockets(host: str, port: int, *, shared: bool) -> list[socket.socket]:
    """One for each address that the name has, all with the same port; `::` is for IPv4 as well."""
    found: list[socket.socket] = []
    try:
        for family, _, _, _, address in socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            taken = found[0].getsockname()[1] if found else port
            both = family == socket.AF_INET6 and address[0] == "::" and socket.has_dualstack_ipv6()
            found.append(
                socket.create_server((address[0], taken), family=family, dualstack_ipv6=both, reuse_port=shared)
            )
    except OSError:
        for each in found:
            each.close()
        raise
    return found
