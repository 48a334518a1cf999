"""The life of a process: opens the house in order, serves or works, closes it in reverse."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import uvloop

from trunkline_server.config import Settings
from trunkline_server.door.addresses import AddressFile
from trunkline_server.door.journal import Journal
from trunkline_server.door.server import Drain, Server
from trunkline_server.edge.server import HttpServer
from trunkline_server.gateway.gateway import Gateway
from trunkline_server.house import logs
from trunkline_server.house.background import Background
from trunkline_server.house.chores import keep_up
from trunkline_server.house.doors import open_doors
from trunkline_server.house.engine import open_engine
from trunkline_server.house.entrance import Entrance
from trunkline_server.house.lookout import open_lookout
from trunkline_server.house.securing import open_tls
from trunkline_server.house.services import Offered
from trunkline_server.house.start import StartError, first_key
from trunkline_server.house.telemetry import Meters, Page
from trunkline_server.store.opening import DatabaseUnusable, opening

COLLECT_AFTER: Final = (10_000, 20, 20)
"""What calls leave behind is hardly ever cyclic: to look for cycles as often as Python does costs 4 % of each call."""
SERVING: Final = b"s"
"""What a supervisor hears from a process that serves."""


@dataclass(frozen=True)
class House:
    """A gateway that serves."""

    settings: Settings
    server: Server
    http: HttpServer
    drain: Drain
    gateway: Gateway
    background: Background
    journal: Journal
    page: Page
    grpc_address: str
    http_address: str
    admin_key: str
    """The key that was made at the first start; empty later."""

    async def until_gone(self) -> None:
        """Serve until somebody asks for the end, then go away in good order."""
        await self.drain.asked()
        await self.drain.run(self.server, self.http)
        await self.gateway.drained()


def run(settings: Settings, supervisor: socket.socket | None = None, place: Path | None = None) -> int:
    """Serve until a signal; the exit code. One of several that share their addresses has a supervisor: it is told that
    this one serves, and when it is gone this one goes as well. `place` is where it tells the others its figures.
    """
    return _live(partial(_serve, supervisor=supervisor, place=place), settings)


def work(settings: Settings) -> int:
    """Do jobs until a signal; the exit code."""
    return _live(_work, settings)


def _live(life: Callable[[Settings], Awaitable[None]], settings: Settings) -> int:
    logs.begin(settings.log_level)
    try:
        uvloop.run(_ended_by_signals(life, settings))
    except StartError as error:
        sys.stderr.write(f"trunkline: {error}\n")
        return 1
    except asyncio.CancelledError:  # a signal came before it was open
        return 0
    return 0


async def _ended_by_signals(life: Callable[[Settings], Awaitable[None]], settings: Settings) -> None:
    _end_on_signals()
    await life(settings)


async def _work(settings: Settings) -> None:
    async with AsyncExitStack() as stack:
        with _starting():
            engine = await open_engine(settings, stack)
            await engine.follow()
            meters = Meters.open(settings, stack)
            meters.watch(engine.calls.gateway.settlement)
            working = await engine.background.begin_work(meters.tracer)
            stack.push_async_callback(engine.calls.gateway.drained)
            seen_at = await open_lookout(engine, meters, lambda: not working.task.done())
            stack.push_async_callback(working.end)
            _spare_collections()
        _end_on_signals(working.task)
        _say(f"trunkline works, and is seen on {seen_at}" if seen_at else "trunkline works")
        with suppress(asyncio.CancelledError):
            await working.task


async def _serve(settings: Settings, supervisor: socket.socket | None, place: Path | None) -> None:
    async with opened(settings, place) as house:
        _obey_signals(house.drain)
        _announce(house)
        if supervisor is not None:
            _follow(supervisor, house.drain)
        await house.until_gone()


@asynccontextmanager
async def opened(settings: Settings, place: Path | None = None) -> AsyncIterator[House]:
    """The whole gateway, serving; everything is closed in reverse at the end. `place`: other processes serve at the
    same addresses, and this file is where it tells them its figures. Raises StartError.
    """
    async with AsyncExitStack() as stack:
        with _starting():
            house = await _open(settings, stack, place)
        yield house


async def _open(settings: Settings, stack: AsyncExitStack, place: Path | None) -> House:
    addresses = AddressFile(settings.data_path / "addresses.json")
    addresses.forget_unless(settings.grpc.address)
    engine = await open_engine(settings, stack)
    entrance = Entrance.open(engine, place)
    admin_key = await first_key(settings.data_path, entrance.keys, entrance.tenants)
    drain = Drain(settings.grpc.drain_delay_s, settings.grpc.drain_grace_s, engine.calls.live.stop_all)
    offered, tls = Offered(entrance, drain), open_tls(settings)
    server, http = open_doors(entrance, offered.services(), drain, tls=tls, shared=place is not None)
    await entrance.follow()
    await offered.stops.follow()
    await engine.follow()
    await keep_up(entrance, offered.vitals(), tls)
    grpc_address, http_address = await _begin(entrance, server, http)
    addresses.write({"grpc": grpc_address, "http": http_address})
    stack.callback(addresses.forget, grpc_address)
    _spare_collections()
    return House(
        settings=settings,
        server=server,
        http=http,
        drain=drain,
        gateway=engine.calls.gateway,
        background=engine.background,
        journal=entrance.journal,
        page=entrance.page,
        grpc_address=grpc_address,
        http_address=http_address,
        admin_key=admin_key,
    )


async def _begin(entrance: Entrance, server: Server, http: HttpServer) -> tuple[str, str]:
    """Opens the doors, and says where they are. They are shut before what goes on behind them is ended."""
    engine, stack = entrance.engine, entrance.engine.ground.stack
    grpc_address = await server.start()
    stack.push_async_callback(engine.calls.gateway.drained)
    stack.push_async_callback(engine.streams.ended)
    if engine.ground.settings.jobs.worker:
        stack.push_async_callback((await engine.background.begin_work(entrance.meters.tracer)).end)
    stack.push_async_callback(server.stop, 0)
    stack.push_async_callback(http.stop, 0)
    return grpc_address, await http.start()


def _spare_collections() -> None:
    """What is there now stays, and need not be looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


@contextmanager
def _starting() -> Iterator[None]:
    """What goes wrong meanwhile is a StartError."""
    try:
        with opening():
            yield
    except (OSError, DatabaseUnusable) as error:
        raise StartError(str(error)) from error


def _end_on_signals(task: asyncio.Task[None] | None = None) -> None:
    """A signal ends this task; without one, the start, so that what was opened is closed."""
    ended = task or asyncio.current_task()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.cancel if ended else sys.exit)


def _obey_signals(drain: Drain) -> None:
    """SIGTERM drains, a second one hurries; Ctrl-C hurries at once."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, drain.ask)
    loop.add_signal_handler(signal.SIGINT, lambda: drain.ask(hurry=True))


def _follow(supervisor: socket.socket, drain: Drain) -> None:
    """Its silence is all that is ever heard of it: it is gone."""
    supervisor.send(SERVING)
    asyncio.get_running_loop().add_reader(supervisor, lambda: drain.ask(hurry=True))


def _announce(house: House) -> None:
    _say(f"trunkline serves gRPC on {house.grpc_address}, HTTP on {house.http_address}")
    if house.admin_key:
        kept = house.settings.data_path / "admin.key"
        _say(f"admin key, shown once and kept in {kept}: {house.admin_key}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
