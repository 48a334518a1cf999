"""The gRPC server itself: its options, health, reflection, and going away in good order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio

from trunkline_server.door.caller import Callers
from trunkline_server.door.reflecting import ReflectionGuard, is_local, reflect

LIVENESS: Final = ""
READINESS: Final = "readiness"
LAST_WORDS_S: Final = 2.0
"""How long before the end of the grace running calls are cut off, so that their error still reaches the caller."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """`reflection` None: only where nobody from outside can come."""

    address: str
    receive_bytes_max: int
    concurrent_streams_max: int
    reflection: bool | None = None


class Server:
    """Started once everything behind it is ready."""

    def __init__(
        self, settings: ServerSettings, handlers: Sequence[tuple[str, grpc.GenericRpcHandler]], callers: Callers
    ) -> None:
        self._settings = settings
        local = is_local(settings.address)
        guards = () if local else (ReflectionGuard(callers),)
        self._server = grpc.aio.server(options=_options(settings), interceptors=guards)
        self._services = [name for name, _ in handlers]
        self._health = health_aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._server.add_generic_rpc_handlers(tuple(handler for _, handler in handlers))
        if local if settings.reflection is None else settings.reflection:
            reflect(self._server, (*self._services, "grpc.health.v1.Health"))

    async def start(self) -> str:
        """Bind and serve; the address in use. Raises OSError where it cannot be bound."""
        host, _, port = self._settings.address.rpartition(":")
        try:
            bound = self._server.add_insecure_port(self._settings.address)
        except RuntimeError as error:
            raise OSError(f"{self._settings.address} cannot be bound; is another gateway running?") from error
        await self._server.start()
        await self._tell(health_pb2.HealthCheckResponse.SERVING)
        return f"{host}:{bound if port == '0' else port}"

    async def stop_admitting(self) -> None:
        """Tell load balancers to look elsewhere; calls are still served."""
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace_s: float) -> None:
        """Take no new calls, let the running ones end, then cut them off."""
        await self._server.stop(grace_s)

    async def _tell(self, status: Any) -> None:
        for name in (LIVENESS, READINESS, *self._services):
            await self._health.set(name, status)


def _options(settings: ServerSettings) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", settings.receive_bytes_max),
        ("grpc.max_send_message_length", 64 * 1024 * 1024),
        ("grpc.max_concurrent_streams", settings.concurrent_streams_max),
        ("grpc.max_metadata_size", 8192),
        ("grpc.absolute_max_metadata_size", 16384),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.server_handshake_timeout_ms", 5_000),
        ("grpc.max_connection_age_ms", 1_800_000),
        ("grpc.max_connection_age_grace_ms", 660_000),
        ("grpc.max_connection_idle_ms", 900_000),
        ("grpc.so_reuseport", 0),
    ]


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
