"""The dial: addresses of a host, the first of them that answers, and TLS over it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache
from typing import Final

from trunkline_server.providers.http.connection import Connection
from trunkline_server.providers.http.network import INTERNET, Address, Network, Open, open_socket
from trunkline_server.providers.http.origin import Origin

_HEAD_START_S: Final = 0.25


@cache
def trust(ca_file: str) -> ssl.SSLContext:
    """Made once for all providers: reading the authorities takes milliseconds and megabytes."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    if ca_file:
        context.load_verify_locations(ca_file)
    return context


class Dial:
    """Connects to one origin. Raises OSError; also where it is made, if there is no `ca_file` to read."""

    def __init__(self, origin: Origin, ca_file: str, network: Network = INTERNET) -> None:
        self._origin = origin
        self._network = network
        self._context = trust(ca_file) if origin.tls and ca_file else None
        self._known: Sequence[Address] = ()
        self._known_until = 0.0

    async def connect(self, make: Callable[[], Connection]) -> Connection:
        if self._origin.tls and self._context is None:
            self._context = await asyncio.to_thread(trust, "")
        name = self._origin.host if self._context else None
        made = asyncio.get_running_loop().create_connection(
            make, sock=await self._socket(), ssl=self._context, server_hostname=name
        )
        return (await made)[1]

    async def _socket(self) -> socket.socket:
        try:
            return await first_of(await self._addresses(), self._network.open)
        except OSError:
            self._known_until = 0.0
            raise

    async def _addresses(self) -> Sequence[Address]:
        loop = asyncio.get_running_loop()
        if loop.time() < self._known_until:
            return self._known
        found = self._known = await self._network.look_up(self._origin.host, self._origin.port)
        self._known_until = loop.time() + self._network.known_s
        return found


async def first_of(addresses: Sequence[Address], open_: Open = open_socket) -> socket.socket:
    """Tries one after another; the next gets its turn when one fails, or takes longer than its head start."""
    waiting, tries = deque(addresses), set[asyncio.Task[socket.socket]]()
    failure = OSError("no address")
    try:
        while waiting or tries:
            if waiting:
                tries.add(asyncio.create_task(open_(waiting.popleft())))
            head_start_s = _HEAD_START_S if waiting else None
            done, _ = await asyncio.wait(tries, timeout=head_start_s, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                tries.discard(task)
                try:
                    return task.result()
                except OSError as error:
                    failure = error
        raise failure
    finally:
        for task in tries:
            task.cancel()
            task.add_done_callback(_discard)


def _discard(task: asyncio.Task[socket.socket]) -> None:
    with contextlib.suppress(asyncio.CancelledError, OSError):
        task.result().close()
