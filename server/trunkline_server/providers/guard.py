"""The dial: resolves a name once, checks every answer, and connects to the number that was checked."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import ip_address
from typing import TypeAlias

import httpcore

from trunkline_server.core.address import EgressPolicy

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
SocketOption: TypeAlias = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]
RESOLVE_TIMEOUT_S = 2.0
FAILURES = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError, ValueError)


class Guard(httpcore.AsyncNetworkBackend):
    """A network that has only the addresses of the policy in it, and no unix sockets. TLS still checks the name."""

    def __init__(self, policy: EgressPolicy, resolve: Resolve, network: httpcore.AsyncNetworkBackend) -> None:
        self._policy = policy
        self._resolve = resolve
        self._network = network

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  the library's signature
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        ip = await self._checked(host, port)
        return await self._network.connect_tcp(ip, port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)

    async def _checked(self, host: str, port: int) -> str:
        try:
            async with asyncio.timeout(RESOLVE_TIMEOUT_S):
                answers = await self._resolve(host, port)
            ips = [ip_address(answer) for answer in answers]
        except (OSError, ValueError):
            ips = []
        if not ips or not all(self._policy.permits(ip, host, port) for ip in ips):
            raise httpcore.ConnectError("no allowed address")
        return str(ips[0])


def pool(
    policy: EgressPolicy, resolve: Resolve, network: httpcore.AsyncNetworkBackend | None = None
) -> httpcore.AsyncConnectionPool:
    """Connections through the guard, none of them kept: every request is checked anew."""
    guard = Guard(policy, resolve, network or httpcore.AnyIOBackend())
    return httpcore.AsyncConnectionPool(
        ssl_context=ssl.create_default_context(), max_connections=64, max_keepalive_connections=0, network_backend=guard
    )
