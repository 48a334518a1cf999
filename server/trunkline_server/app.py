"""Puts the house together: opens everything in order, closes it in reverse. The only file that sees everything."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Final

import uvloop

from trunkline.v1 import admin_pb2, chat_pb2, credits_pb2, limits_pb2, models_pb2, providers_pb2
from trunkline_server import __version__
from trunkline_server.config import ModelSection, ProviderSection, Settings
from trunkline_server.core import ids
from trunkline_server.core.address import EgressPolicy
from trunkline_server.core.catalogue import Catalogue
from trunkline_server.core.model import ModelEntry, configured_model
from trunkline_server.core.money import from_decimal_text
from trunkline_server.core.page_token import PageTokens
from trunkline_server.core.sealing import KeyRing
from trunkline_server.door.addresses import AddressFile
from trunkline_server.door.boundary import Boundary, Deadlines
from trunkline_server.door.caller import Callers
from trunkline_server.door.contract import Contract
from trunkline_server.door.journal import Journal
from trunkline_server.door.pressure import Pressure, PressureSettings
from trunkline_server.door.replays import Replays
from trunkline_server.door.server import Drain, Server, ServerSettings
from trunkline_server.door.sink import Sink
from trunkline_server.door.status import to_status
from trunkline_server.gateway.admission import Admission, AdmissionSettings
from trunkline_server.gateway.breakers import BreakerRules
from trunkline_server.gateway.cache.memory import Memory
from trunkline_server.gateway.cache.recall import CacheSettings, Recall
from trunkline_server.gateway.cache.shelf import Shelf
from trunkline_server.gateway.candidates import Candidates
from trunkline_server.gateway.completions import Completions
from trunkline_server.gateway.gateway import Gateway, GatewaySettings
from trunkline_server.gateway.learning import Learning
from trunkline_server.gateway.limits.book import Book
from trunkline_server.gateway.limits.limiter import Limiter
from trunkline_server.gateway.limits.local import LocalCounters
from trunkline_server.gateway.limits.shared import HERE_AGAIN_S, SharingCounters
from trunkline_server.gateway.lines import Lines, LineSettings
from trunkline_server.gateway.live import LiveCalls
from trunkline_server.gateway.media import Media
from trunkline_server.gateway.own_accounts import OwnAccounts
from trunkline_server.gateway.routes import Fallbacks, Routes
from trunkline_server.gateway.settlement import Settlement
from trunkline_server.gateway.stops import Stops
from trunkline_server.gateway.strategies import Strategies
from trunkline_server.gateway.sync import Sync
from trunkline_server.providers.client import ClientSettings
from trunkline_server.providers.egress import Egress
from trunkline_server.providers.registry import Registry
from trunkline_server.services.admin import AdminService, Replica
from trunkline_server.services.chat import ChatService
from trunkline_server.services.credits import CreditService
from trunkline_server.services.limits import LimitService
from trunkline_server.services.models import ModelService
from trunkline_server.services.providers import ProviderService
from trunkline_server.store.accounts import NewAccounts
from trunkline_server.store.database import Database, DatabaseSettings
from trunkline_server.store.embedded import EmbeddedPostgres
from trunkline_server.store.idempotency import Idempotency
from trunkline_server.store.installation import installation_secret
from trunkline_server.store.keys import CHANNEL as KEYS_CHANNEL
from trunkline_server.store.keys import Keys, NewKey
from trunkline_server.store.ledger import Ledger, LedgerSettings
from trunkline_server.store.migrate import migrate
from trunkline_server.store.opening import DatabaseUnusable, opening
from trunkline_server.store.page import Page
from trunkline_server.store.provider_accounts import ProviderAccounts
from trunkline_server.store.redis import RedisSettings, SharedMemory
from trunkline_server.store.tenant_keys import TenantKeys
from trunkline_server.store.tenants import Tenants
from trunkline_server.store.usage import Usage
from trunkline_server.worker.chores import Chore

_log = logging.getLogger(__name__)

OTHER_TIMEOUT_S: Final = 10.0
MANY_TIMEOUT_S: Final = 600.0
SYNC_TIMEOUT_S: Final = 30.0
SYNC_EVERY_S: Final = 24 * 3600
SYNC_FIRST_WITHIN_S: Final = 3600
WATCH_TIMEOUT_S: Final = 900.0

NAMED_BY_CALLER: Final = frozenset(("/trunkline.v1.CreditService/GrantCredits", "/trunkline.v1.CreditService/Reserve"))
MODEL_FILES: Final = ("models.json", "sandbox.json", "ollama.json")


class StartError(Exception):
    """The gateway cannot start; the message is one line that says why."""


@dataclass(frozen=True)
class House:
    """A gateway that serves."""

    settings: Settings
    server: Server
    drain: Drain
    gateway: Gateway
    journal: Journal
    grpc_address: str
    admin_key: str
    """The key that was made at the first start; empty later."""

    async def until_gone(self) -> None:
        """Serve until somebody asks for the end, then go away in good order."""
        await self.drain.asked()
        await self.drain.run(self.server)
        await self.gateway.drained()


def run(settings: Settings) -> int:
    """Serve until a signal; the exit code."""
    try:
        uvloop.run(_serve(settings))
    except StartError as error:
        sys.stderr.write(f"trunkline: {error}\n")
        return 1
    except asyncio.CancelledError:  # a signal came before it served
        return 0
    return 0


async def _serve(settings: Settings) -> None:
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(message)s")
    _end_on_signals()
    async with opened(settings) as house:
        _obey_signals(house.drain)
        _announce(house)
        await house.until_gone()


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[House]:
    """The whole gateway, serving; everything is closed in reverse at the end."""
    async with AsyncExitStack() as stack:
        try:
            with opening():
                house = await _open(settings, stack)
        except (OSError, DatabaseUnusable) as error:
            raise StartError(str(error)) from error
        yield house


async def _open(settings: Settings, stack: AsyncExitStack) -> House:
    settings.data_path.mkdir(parents=True, exist_ok=True)
    addresses = AddressFile(settings.data_path / "addresses.json")
    addresses.forget_unless(settings.grpc.address)
    database = await _open_database(settings, stack)
    secret = settings.auth.pepper.encode() + await installation_secret(database)
    replica_id = ids.new_uuid().hex
    ledger = await _open_ledger(settings, database, stack)
    routes = await _open_routes(settings, stack)
    learning = Learning(routes, database)
    sync = Sync(routes.registry, learning)
    accounts = ProviderAccounts(database, await _tenant_keys(settings, database, secret))
    own = OwnAccounts(routes, database, accounts)
    live = LiveCalls()
    drain = Drain(settings.grpc.drain_delay_s, settings.grpc.drain_grace_s, live.stop_all)
    shared = _open_shared(settings, stack)
    counters = await _open_counters(settings, replica_id, shared)
    limiter = Limiter(Book(database), counters)
    stack.push_async_callback(limiter.close)
    gateway = _gateway(settings, routes, ledger, limiter, live)
    shelf = Shelf(Memory(settings.cache.memory_bytes_max), shared, database)
    stops = Stops(live, ledger, database)
    keys, tenants, results = Keys(database, secret), Tenants(database), Idempotency(database)
    callers = Callers(keys, tenants, settings.auth.cache_ttl_s, asyncio.get_running_loop().time)
    admin_key = await _first_key(settings, keys, tenants)
    journal = _open_journal(stack)
    chat = ChatService(
        gateway=Recall(gateway, ledger, shelf, _cache(settings)),
        completions=Completions(Usage(database), results, live),
        stops=stops,
        media=Media(Egress(_policy(settings))),
        policy=_policy(settings),
        describe=to_status,
    )
    given = settings.overload
    pressure = Pressure(PressureSettings(given.calls_min, given.calls_max, given.lag_s))
    contract = Contract()
    contract.warm()
    boundary = Boundary(
        contract=contract,
        callers=callers,
        replays=Replays(results, replica_id, NAMED_BY_CALLER),
        journal=journal,
        deadlines=_deadlines(settings),
        pressure=pressure,
        heartbeat_s=settings.grpc.heartbeat_s,
    )
    tokens = PageTokens.derive(secret)
    replica = Replica(
        version=__version__,
        replica_id=replica_id,
        start_time=datetime.now(UTC),
        database_embedded=not settings.database_url,
        draining=lambda: drain.draining,
        live_call_count=lambda: len(live),
        expired_reservation_count=lambda: ledger.expired_count,
        drain=drain.ask,
    )
    providers = ProviderService(routes.registry, routes.lines, tokens, accounts, own, lambda: drain.draining)
    services = [
        (chat_pb2.DESCRIPTOR.services_by_name["ChatService"], chat),
        (credits_pb2.DESCRIPTOR.services_by_name["CreditService"], CreditService(ledger, tokens)),
        (limits_pb2.DESCRIPTOR.services_by_name["LimitService"], LimitService(limiter, tokens)),
        (models_pb2.DESCRIPTOR.services_by_name["ModelService"], ModelService(routes, tokens, learning, sync)),
        (providers_pb2.DESCRIPTOR.services_by_name["ProviderService"], providers),
        (admin_pb2.DESCRIPTOR.services_by_name["AdminService"], AdminService(tenants, keys, tokens, replica, shelf)),
    ]
    handlers = [(descriptor.full_name, boundary.handler(descriptor, service)) for descriptor, service in services]
    server = Server(_server_settings(settings), handlers, callers)
    await database.listen(KEYS_CHANNEL, callers.forget)
    for each in (ledger.accounts, stops, learning, own, limiter.book, shelf):
        await each.follow()
    chores = [
        *_chores(ledger, results, keys, callers),
        *_catalogue_chores(learning, own, sync),
        *_limit_chores(limiter, counters),
    ]
    for work in (
        learning.keep(),
        own.keep(),
        limiter.book.keep(),
        pressure.watch(),
        *(chore.repeat() for chore in chores),
    ):
        stack.callback(asyncio.get_running_loop().create_task(work).cancel)
    address = await server.start()
    stack.push_async_callback(gateway.drained)
    stack.push_async_callback(server.stop, 0)
    addresses.write({"grpc": address})
    stack.callback(addresses.forget, address)
    gc.collect()
    gc.freeze()
    return House(settings, server, drain, gateway, journal, address, admin_key)


async def _open_database(settings: Settings, stack: AsyncExitStack) -> Database:
    url = settings.database_url
    if not url:
        embedded = await EmbeddedPostgres.start(settings.data_path / "postgres")
        stack.push_async_callback(embedded.stop)
        url = embedded.url
    await migrate(url)
    given = settings.database
    database = await Database.open(DatabaseSettings(url, given.pool_max, given.command_timeout_s))
    stack.push_async_callback(database.close)
    return database


async def _tenant_keys(settings: Settings, database: Database, secret: bytes) -> TenantKeys:
    """Refuses to start where what is sealed could not be opened: a key lost now is a key lost for good."""
    keys = TenantKeys(database, KeyRing.of(settings.secrets.keys, secret))
    if lacking := await keys.check():
        which = (
            "auth.pepper: was changed" if lacking == [0] else f"secrets.kek: version {max(lacking)} is missing or wrong"
        )
        raise StartError(f"{which}, and tenants' keys are sealed with it; put the old one back")
    return keys


def _open_journal(stack: AsyncExitStack) -> Journal:
    sink = Sink(sys.stdout.buffer)
    stack.callback(sink.close)
    journal = Journal(sink.write)
    stack.callback(journal.flush)
    return journal


async def _open_ledger(settings: Settings, database: Database, stack: AsyncExitStack) -> Ledger:
    new = NewAccounts(from_decimal_text(settings.credits.default_grant), settings.credits.tenant_unlimited)
    ledger = await Ledger.open(database, LedgerSettings(new))
    stack.push_async_callback(ledger.close)
    return ledger


async def _open_routes(settings: Settings, stack: AsyncExitStack) -> Routes:
    calls_max = settings.routing.provider_calls_max
    client = ClientSettings(read_timeout_s=settings.chat.unary_timeout_s, connections_max=calls_max)
    registry = Registry(settings.provider_settings, client)
    stack.push_async_callback(registry.close)
    data = files("trunkline_server.data")
    models = [data.joinpath(name).read_bytes() for name in MODEL_FILES]
    fallbacks = Fallbacks(settings.routing.chains, settings.routing.universal_fallback)
    routes = Routes(Catalogue.load(models, _own_models(settings)), registry, Lines(_lines(settings)), fallbacks)
    if unknown := routes.unknown_fallbacks():
        raise StartError(f"routing.chains: {unknown[0]!r} is neither a model nor a provider")
    return routes


def _lines(settings: Settings) -> LineSettings:
    given = settings.breakers
    rules = BreakerRules(
        down_in_row_max=given.failures_in_row_max,
        calls_min=given.calls_min,
        failure_ratio=given.failure_ratio,
        slow_ratio=given.slow_ratio,
        open_s=given.open_s,
        open_s_max=given.open_s_max,
    )
    calls_max = settings.routing.provider_calls_max
    return LineSettings(rules, given.slow_first_word_s, given.slow_answer_s, calls_max, given.open_s_max)


def _open_shared(settings: Settings, stack: AsyncExitStack) -> SharedMemory | None:
    """It need not be there yet."""
    if not settings.redis_url:
        return None
    shared = SharedMemory(RedisSettings(settings.redis_url, settings.limits.redis_timeout_s))
    stack.push_async_callback(shared.close)
    return shared


def _cache(settings: Settings) -> CacheSettings:
    given = settings.cache
    return CacheSettings(given.ttl_s, given.stale_s, given.answer_bytes_max, from_decimal_text(given.hit_price))


async def _open_counters(
    settings: Settings, replica_id: str, shared: SharedMemory | None
) -> LocalCounters | SharingCounters:
    """Together with other replicas where there is something that they share."""
    if shared is None:
        return LocalCounters()
    counters = SharingCounters(shared, replica_id, settings.limits.replicas_min)
    await counters.count_replicas()
    return counters


def _gateway(settings: Settings, routes: Routes, ledger: Ledger, limiter: Limiter, live: LiveCalls) -> Gateway:
    chat, per_usd = settings.chat, from_decimal_text(settings.credits.per_usd)
    admission = Admission(
        Candidates(routes, _strategies(settings)),
        ledger,
        limiter,
        AdmissionSettings(per_usd, chat.default_max_output_tokens, chat.unknown_price == "free"),
    )
    patience = GatewaySettings(chat.attempts_max, chat.first_token_timeout_s, chat.idle_timeout_s)
    return Gateway(admission, Settlement(ledger, per_usd), live, patience)


def _strategies(settings: Settings) -> Strategies:
    name = f"ROUTING_STRATEGY_{settings.routing.strategy.upper()}"
    return Strategies(chat_pb2.RoutingStrategy.Value(name), settings.routing.weights)


async def _first_key(settings: Settings, keys: Keys, tenants: Tenants) -> str:
    """Tenant `default` and its first key, made by whoever starts first on an empty database."""
    tenant = await tenants.ensure("default")
    if await keys.list(tenant.tenant_id, Page(size=1)):
        return ""
    _, secret = await keys.create(NewKey(tenant.tenant_id, "admin", ["*"], created_by="first start"))
    _write_private(settings.data_path / "admin.key", secret)
    return secret


def _own_models(settings: Settings) -> list[ModelEntry]:
    """What the operator says about the models of the servers of their own."""
    own = []
    for name, provider in settings.providers.items():
        own += [_own_model(name, provider, model) for model in provider.models]
        if provider.free:
            own.append(configured_model(name, None, free=True))
    return own


def _own_model(provider: str, given: ProviderSection, model: ModelSection) -> ModelEntry:
    prices = {"input": model.input_price, "output": model.output_price}
    units = {unit: from_decimal_text(price) for unit, price in prices.items()} if model.input_price else None
    return configured_model(
        provider,
        model.name,
        context_window=model.context_window,
        max_output_tokens=model.max_output_tokens,
        units=units,
        free=given.free and units is None,
    )


def _policy(settings: Settings) -> EgressPolicy:
    return EgressPolicy(frozenset(settings.egress.allow_http_hosts), frozenset(settings.egress.allow_private_hosts))


def _deadlines(settings: Settings) -> Deadlines:
    own = {
        "Complete": settings.chat.unary_timeout_s,
        "Stream": settings.chat.stream_timeout_s,
        "CompleteMany": MANY_TIMEOUT_S,
        "SyncModels": SYNC_TIMEOUT_S,
        "WatchProviderHealth": WATCH_TIMEOUT_S,
    }
    return Deadlines(own, OTHER_TIMEOUT_S)


def _server_settings(settings: Settings) -> ServerSettings:
    grpc = settings.grpc
    return ServerSettings(grpc.address, grpc.receive_bytes_max, grpc.concurrent_streams_max, grpc.reflection)


def _chores(ledger: Ledger, results: Idempotency, keys: Keys, callers: Callers) -> list[Chore]:
    return [
        Chore("expire_reservations", 5, ledger.expire_due),
        Chore("purge_answers", 600, results.purge),
        Chore("note_key_use", 60, lambda: keys.note_use(callers.take_used())),
    ]


def _catalogue_chores(learning: Learning, own: OwnAccounts, sync: Sync) -> list[Chore]:
    return [
        Chore("refresh_catalogue", 300, learning.refresh),
        Chore("refresh_provider_accounts", 300, own.refresh),
        Chore("sync_models", SYNC_EVERY_S, sync.all, SYNC_FIRST_WITHIN_S),
    ]


def _limit_chores(limiter: Limiter, counters: LocalCounters | SharingCounters) -> list[Chore]:
    chores = [
        Chore("refresh_limits", 300, limiter.book.refresh),
        Chore("expire_budget_holds", 60, limiter.book.budgets.expire),
    ]
    if isinstance(counters, SharingCounters):
        chores.append(Chore("count_replicas", HERE_AGAIN_S, counters.count_replicas))
    return chores


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text + "\n")


def _end_on_signals() -> None:
    """Until it serves, a signal ends the start; what was opened is closed."""
    task = asyncio.current_task()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel if task else sys.exit)


def _obey_signals(drain: Drain) -> None:
    """SIGTERM drains, a second one hurries; Ctrl-C hurries at once."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, drain.ask)
    loop.add_signal_handler(signal.SIGINT, lambda: drain.ask(hurry=True))


def _announce(house: House) -> None:
    lines = [f"trunkline serves gRPC on {house.grpc_address}"]
    if house.admin_key:
        kept = house.settings.data_path / "admin.key"
        lines.append(f"admin key, shown once and kept in {kept}: {house.admin_key}")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
