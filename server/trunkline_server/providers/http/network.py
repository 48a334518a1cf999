"""The network under a dial: how names become numbers, and numbers sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

Address: TypeAlias = tuple[int, Any]
"""A family, and an address as sockets of that family want it."""

LookUp: TypeAlias = Callable[[str, int], Coroutine[Any, Any, Sequence[Address]]]
Open: TypeAlias = Callable[[Address], Coroutine[Any, Any, socket.socket]]

_PROBE_AFTER_S: Final = 60


async def look_up(host: str, port: int) -> Sequence[Address]:
    """Where the system says that a host is. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]


async def open_socket(address: Address) -> socket.socket:
    """A connection to a number. Raises OSError."""
    family, where = address
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(0)
        _probe(sock)
        await asyncio.get_running_loop().sock_connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock


def _probe(sock: socket.socket) -> None:
    """A model may think for minutes, and what stands between forgets silent connections, unless they are probed."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _PROBE_AFTER_S)


@dataclass(frozen=True, slots=True)
class Network:
    """`known_s`: how long the numbers of a name are remembered, by each dial for itself."""

    look_up: LookUp = look_up
    open: Open = open_socket
    known_s: float = 60.0


INTERNET: Final = Network()
