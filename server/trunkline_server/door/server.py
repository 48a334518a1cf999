"""The gRPC server as a whole: services, health, reflection, and going away in good order."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from trunkline_server.door.caller import Callers
from trunkline_server.door.health import SERVICE as HEALTH
from trunkline_server.door.health import Health
from trunkline_server.door.http2.exchange import Rpc
from trunkline_server.door.http2.limits import Limits
from trunkline_server.door.http2.listener import Listener
from trunkline_server.door.reflecting import Reflection, is_local

LIVENESS: Final = ""
READINESS: Final = "readiness"
LAST_WORDS_S: Final = 2.0
"""How long before the end of the grace running calls are cut off, so that their error still reaches the caller."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """`reflection` None: only where nobody from outside can come. `shared`: other processes serve there as well."""

    address: str
    receive_bytes_max: int
    concurrent_streams_max: int
    reflection: bool | None = None
    shared: bool = False
    tls: ssl.SSLContext | None = None
    health_address: str = ""
    """Health alone, for probes that speak no TLS; empty: nowhere."""


class Server:
    """Started once everything behind it is ready."""

    def __init__(self, settings: ServerSettings, services: Mapping[str, Mapping[str, Rpc]], callers: Callers) -> None:
        self._settings = settings
        self._services = list(services)
        self._health = Health()
        rpcs = self._health.rpcs()
        for served in services.values():
            rpcs |= served
        local = is_local(settings.address)
        if local if settings.reflection is None else settings.reflection:
            rpcs |= Reflection((*services, HEALTH), None if local else callers).rpcs()
        limits = Limits(settings.receive_bytes_max, streams_max=settings.concurrent_streams_max)
        self._listener = Listener(rpcs, limits, settings.tls)
        self._probed = Listener(self._health.rpcs(), limits)
        self.health_address = ""
        """Where health alone is served."""

    async def start(self) -> str:
        """Bind and serve; the address in use. Raises OSError where it cannot be bound."""
        address = await self._bind(self._listener, self._settings.address)
        if self._settings.health_address:
            self.health_address = await self._bind(self._probed, self._settings.health_address)
        self._health.tell((LIVENESS, READINESS, *self._services), serving=True)
        return address

    async def _bind(self, listener: Listener, address: str) -> str:
        host, _, port = address.rpartition(":")
        try:
            bound = await listener.start(host.strip("[]"), int(port), shared=self._settings.shared)
        except OSError as error:
            raise OSError(f"{address} cannot be bound; is another gateway running?") from error
        return f"{host}:{bound}"

    async def stop_admitting(self) -> None:
        """Tell load balancers to look elsewhere; calls are still served."""
        self._health.stop()

    async def stop(self, grace_s: float) -> None:
        """Take no new calls, let the running ones end, then cut them off."""
        await self._listener.stop(grace_s)
        await self._probed.stop(0)


class Leaving(Protocol):
    """A server that can go away in good order."""

    async def stop(self, grace_s: float) -> None: ...


class Drain:
    """Going away: tell, wait, stop, finish. A second request skips the waiting."""

    def __init__(self, delay_s: float, grace_s: float, cut_off: Callable[[], None]) -> None:
        self._delay_s = delay_s
        self._grace_s = grace_s
        self._cut_off = cut_off
        self._asked = asyncio.Event()
        self._hurried = asyncio.Event()

    @property
    def draining(self) -> bool:
        return self._asked.is_set()

    def ask(self, *, hurry: bool = False) -> None:
        """Go away; asked twice, at once."""
        if hurry or self._asked.is_set():
            self._hurried.set()
        self._asked.set()

    async def asked(self) -> None:
        await self._asked.wait()

    async def run(self, server: Server, *others: Leaving) -> None:
        """After this no handler runs. What still runs near the end of the grace is told why it ends."""
        await server.stop_admitting()
        servers = (server, *others)
        await self._unless_hurried(self._delay_s)
        stopping = asyncio.get_running_loop().create_task(_stop(servers, self._grace_s))
        await self._unless_hurried(max(self._grace_s - LAST_WORDS_S, 0), stopping)
        self._cut_off()
        await asyncio.wait((stopping,), timeout=LAST_WORDS_S)
        await _stop(servers, 0)
        await stopping

    async def _unless_hurried(self, wait_s: float, *ends: asyncio.Task[None]) -> None:
        hurried = asyncio.get_running_loop().create_task(self._hurried.wait())
        await asyncio.wait((hurried, *ends), timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()


async def _stop(servers: Sequence[Leaving], grace_s: float) -> None:
    await asyncio.gather(*(server.stop(grace_s) for server in servers))
