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
from trunkline_server.core import redaction
from trunkline_server.core.browser_token import BrowserTokens
from trunkline_server.door.addresses import AddressFile
from trunkline_server.door.boundary import Boundary
from trunkline_server.door.caller import Callers
from trunkline_server.door.contract import warm_contract
from trunkline_server.door.journal import Journal
from trunkline_server.door.pressure import Pressure
from trunkline_server.door.replays import Replays
from trunkline_server.door.server import Drain, Server
from trunkline_server.door.signed import Freshness
from trunkline_server.door.sink import Sink
from trunkline_server.door.witness import Witness
from trunkline_server.edge.limits import Traffic
from trunkline_server.edge.server import HttpServer
from trunkline_server.gateway.gateway import Gateway
from trunkline_server.gateway.health_news import HealthNews
from trunkline_server.house import logs
from trunkline_server.house.background import Background
from trunkline_server.house.chores import chores_for_all, chores_of_each, health_chore
from trunkline_server.house.doors import open_doors
from trunkline_server.house.engine import Engine, open_engine
from trunkline_server.house.keeping import keep
from trunkline_server.house.levels import Levels
from trunkline_server.house.limiting import pressure_settings
from trunkline_server.house.lookout import open_lookout
from trunkline_server.house.securing import open_tls, strangers_of, tls_chores
from trunkline_server.house.services import Offered, deadlines_of
from trunkline_server.house.start import StartError, first_key
from trunkline_server.house.telemetry import Meters, Page
from trunkline_server.store.idempotency import Idempotency
from trunkline_server.store.keys import CHANNEL as KEYS_CHANNEL
from trunkline_server.store.keys import Keys
from trunkline_server.store.nonces import Nonces
from trunkline_server.store.opening import DatabaseUnusable, opening
from trunkline_server.store.tenants import Tenants
from trunkline_server.worker.schedules import Runner

COLLECT_AFTER: Final = (10_000, 20, 20)
"""What calls leave behind is hardly ever cyclic: to look for cycles as often as Python does costs 4 % of each call."""
SERVING: Final = b"s"
"""What a supervisor hears from a process that serves."""
NAMED_BY_CALLER = frozenset(
    f"/trunkline.v1.{name}"
    for name in (
        "CreditService/GrantCredits",
        "CreditService/Reserve",
        "FineTuningService/CreateFineTune",
        "VideoService/GenerateVideo",
    )
)


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
            await engine.follow(stack)
            meters = Meters.open(settings, stack)
            meters.watch(engine.gateway.settlement)
            working = await engine.background.begin_work(meters.tracer)
            stack.push_async_callback(engine.gateway.drained)
            seen_at = await open_lookout(settings, engine, meters, lambda: not working.task.done(), stack)
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
    database = engine.database
    keys, tenants, results = Keys(database, engine.secret), Tenants(database), Idempotency(database)
    admin_key = await first_key(settings.data_path, keys, tenants)
    callers = _callers(settings, engine, keys, tenants, stack)
    drain = Drain(settings.grpc.drain_delay_s, settings.grpc.drain_grace_s, engine.live.stop_all)
    journal = _open_journal(stack)
    offered = Offered(settings, engine, drain, keys=keys, tenants=tenants, results=results)
    pressure = Pressure(pressure_settings(settings))
    meters, traffic = Meters.open(settings, stack), Traffic()
    meters.watch(engine.gateway.settlement)
    page = Page(meters, Levels(engine, pressure, journal), traffic, place)
    page.keep(stack)
    boundary = _boundary(
        settings, engine, callers=callers, journal=journal, pressure=pressure, meters=meters, results=results
    )
    tls = open_tls(settings)
    server, http = open_doors(
        settings,
        tls=tls,
        boundary=boundary,
        services=dict(offered.services()),
        callers=callers,
        drain=drain,
        traffic=traffic,
        figures=page.text,
        webhooks=engine.background.hooks.door(settings.providers),
        secret=engine.secret,
        shared=place is not None,
    )
    await database.listen(KEYS_CHANNEL, callers.forget)
    await offered.stops.follow()
    await engine.follow(stack)
    for_all = Runner(database, chores_for_all(settings, engine, results))
    health = HealthNews(
        offered.vitals().told, engine.teller.tell, (await tenants.ensure("default")).tenant_id, engine.replica_id
    )
    chores = (*chores_of_each(engine, keys, callers), health_chore(health), *tls_chores(settings, tls))
    own = [chore.repeat() for chore in chores]
    keep(stack, pressure.watch(), for_all.run(), *engine.background.listeners(), *own)
    grpc_address = await server.start()
    stack.push_async_callback(engine.gateway.drained)
    stack.push_async_callback(engine.streams.ended)
    if settings.jobs.worker:
        stack.push_async_callback((await engine.background.begin_work(meters.tracer)).end)
    stack.push_async_callback(server.stop, 0)
    stack.push_async_callback(http.stop, 0)
    http_address = await http.start()
    addresses.write({"grpc": grpc_address, "http": http_address})
    stack.callback(addresses.forget, grpc_address)
    _spare_collections()
    return House(
        settings=settings,
        server=server,
        http=http,
        drain=drain,
        gateway=engine.gateway,
        background=engine.background,
        journal=journal,
        page=page,
        grpc_address=grpc_address,
        http_address=http_address,
        admin_key=admin_key,
    )


def _callers(settings: Settings, engine: Engine, keys: Keys, tenants: Tenants, stack: AsyncExitStack) -> Callers:
    return Callers(
        keys,
        tenants,
        settings.auth.cache_ttl_s,
        asyncio.get_running_loop().time,
        strangers_of(settings, stack),
        pages=BrowserTokens.derive(engine.secret),
        freshness=Freshness(Nonces(engine.database), settings.auth.signature_window_s),
    )


def _boundary(
    settings: Settings,
    engine: Engine,
    *,
    callers: Callers,
    journal: Journal,
    pressure: Pressure,
    meters: Meters,
    results: Idempotency,
) -> Boundary:
    return Boundary(
        contract=warm_contract(),
        callers=callers,
        replays=Replays(results, engine.replica_id, NAMED_BY_CALLER),
        journal=journal,
        deadlines=deadlines_of(settings),
        pressure=pressure,
        heartbeat_s=settings.grpc.heartbeat_s,
        witness=Witness(engine.audit),
        meter=meters.calls,
        tracer=meters.tracer,
        streams=engine.streams,
    )


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


def _open_journal(stack: AsyncExitStack) -> Journal:
    sink = Sink(sys.stdout.buffer, redaction.lines)
    stack.callback(sink.close)
    journal = Journal(sink.write)
    stack.callback(journal.flush)
    return journal


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
