"""What makes calls, for those who ask at the doors and for jobs alike."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass

from trunkline_server.config import Settings
from trunkline_server.core import ids
from trunkline_server.core.address import EgressPolicy
from trunkline_server.core.audit_chain import HeadKey
from trunkline_server.core.money import from_decimal_text
from trunkline_server.core.sealing import KeyRing
from trunkline_server.gateway.actions.by_tool import ByTool
from trunkline_server.gateway.admission import Admission
from trunkline_server.gateway.breaker_news import BreakerNews
from trunkline_server.gateway.cache.memory import Memory
from trunkline_server.gateway.cache.shelf import Shelf
from trunkline_server.gateway.candidates import Candidates
from trunkline_server.gateway.copies import Copies
from trunkline_server.gateway.errands import Errands
from trunkline_server.gateway.file_search import FileSearch
from trunkline_server.gateway.file_stores import FileStores
from trunkline_server.gateway.gateway import Gateway, GatewaySettings
from trunkline_server.gateway.gossip import Gossip
from trunkline_server.gateway.guards import detectors
from trunkline_server.gateway.guards.guards import Guards
from trunkline_server.gateway.guards.policies import Policies
from trunkline_server.gateway.learning import Learning
from trunkline_server.gateway.limits.limiter import Limiter
from trunkline_server.gateway.live import LiveCalls
from trunkline_server.gateway.media import Media
from trunkline_server.gateway.own_accounts import OwnAccounts
from trunkline_server.gateway.questions import Questions
from trunkline_server.gateway.routes import Routes
from trunkline_server.gateway.settlement import Settlement
from trunkline_server.gateway.streams.streams import Streams
from trunkline_server.gateway.sync import Sync
from trunkline_server.gateway.talks.talks import Talks
from trunkline_server.gateway.terms import Terms
from trunkline_server.house.actions import Actions
from trunkline_server.house.background import Background
from trunkline_server.house.collecting import Collecting
from trunkline_server.house.filing import open_archive
from trunkline_server.house.guarding import house_guard
from trunkline_server.house.hooks import Hooks
from trunkline_server.house.keeping import keep
from trunkline_server.house.limiting import open_limiter, open_shared, stream_settings
from trunkline_server.house.routing import open_routes, require_known_chains, strategies_of
from trunkline_server.house.start import StartError
from trunkline_server.house.tooling import Tooling
from trunkline_server.house.tuning import Tuning
from trunkline_server.providers.egress import Egress
from trunkline_server.store.accounts import NewAccounts
from trunkline_server.store.archive import Archive
from trunkline_server.store.audit_log import AuditLog
from trunkline_server.store.conversation_tails import ConversationTails
from trunkline_server.store.database import Database, DatabaseSettings
from trunkline_server.store.embedded import EmbeddedPostgres
from trunkline_server.store.installation import installation_secret
from trunkline_server.store.leased_ledger import LeasedLedger
from trunkline_server.store.ledger import Ledger, LedgerSettings
from trunkline_server.store.migrate import migrate
from trunkline_server.store.provider_accounts import ProviderAccounts
from trunkline_server.store.search_stores import SearchStores
from trunkline_server.store.teller import Teller
from trunkline_server.store.tenant_keys import TenantKeys
from trunkline_server.store.vector_stores import VectorStores


@dataclass(frozen=True)
class Engine:
    """`replica_id` names this process to the others; `secret` is the installation's."""

    replica_id: str
    secret: bytes
    database: Database
    audit: AuditLog
    ledger: Ledger
    routes: Routes
    learning: Learning
    sync: Sync
    accounts: ProviderAccounts
    own: OwnAccounts
    gossip: Gossip
    live: LiveCalls
    limiter: Limiter
    shelf: Shelf
    gateway: Gateway
    streams: Streams
    teller: Teller
    guards: Guards
    errands: Errands
    collecting: Collecting
    actions: Actions
    archive: Archive
    copies: Copies
    questions: Questions
    talks: Talks
    tooling: Tooling
    tuning: Tuning
    background: Background

    async def follow(self, stack: AsyncExitStack) -> None:
        """Hear of what others change, and keep up with it. Raises StartError."""
        told = (self.learning, self.own, self.tuning.models, self.gossip, self.limiter.book, self.guards.policies)
        for each in (self.ledger.accounts, self.shelf, *told):
            await each.follow()
        require_known_chains(self.routes)
        stack.push_async_callback(self.teller.flush)
        keep(stack, *(each.keep() for each in told), self.teller.keep())


async def open_engine(settings: Settings, stack: AsyncExitStack) -> Engine:
    """Raises StartError; what was opened is closed with the stack."""
    settings.data_path.mkdir(parents=True, exist_ok=True)
    database = await _open_database(settings, stack)
    secret = settings.auth.pepper.encode() + await installation_secret(database)
    replica_id = ids.new_uuid().hex
    ledger = await _open_ledger(settings, database, stack)
    routes = open_routes(settings, stack)
    learning = Learning(routes, database)
    tenant_keys = await _tenant_keys(settings, database, secret)
    accounts = ProviderAccounts(database, tenant_keys)
    live = LiveCalls()
    shared = open_shared(settings, stack)
    limiter = await open_limiter(settings, database, shared, replica_id)
    stack.push_async_callback(limiter.close)
    teller = Teller(database)
    routes.lines.turned = BreakerNews(teller.tell).turned
    guards = Guards(Policies(database, house_guard(settings), detectors.installed()))
    gateway = _gateway(settings, routes, ledger, limiter, live=live, teller=teller, guards=guards)
    policy = policy_of(settings)
    hooks = await Hooks.open(settings, database, tenant_keys, policy, stack)
    archive = open_archive(settings, database, stack)
    egress = Egress(policy)
    stack.push_async_callback(egress.close)
    media = Media(egress, archive, FileSearch(VectorStores(database), routes.has_own))
    errands = Errands(gateway, media, policy)
    collecting = Collecting.open(settings.collections, database, errands, stack)
    tails = ConversationTails(shared if settings.conversations.tails_in_redis else None)
    talks = Talks.over(database, tails, gateway, collecting.finding)
    stack.push_async_callback(talks.drained)
    tooling = await Tooling.open(settings, database, tenant_keys, policy, stack, secret=secret, gateway=gateway)
    copies = Copies(archive, routes)
    questions = Questions(errands.media, FileStores(SearchStores(database), copies))
    tuning = Tuning.open(settings, database, gateway, ledger, copies)
    background = await Background.open(
        settings,
        database,
        errands,
        ledger,
        hooks,
        collecting=collecting,
        questions=questions,
        talks=talks,
        tools=tooling.plain(gateway),
        tuning=tuning,
    )
    return Engine(
        replica_id=replica_id,
        secret=secret,
        database=database,
        audit=AuditLog(database, HeadKey.derive(secret)),
        ledger=ledger,
        routes=routes,
        learning=learning,
        sync=Sync(routes.registry, learning),
        accounts=accounts,
        own=OwnAccounts(routes, database, accounts),
        gossip=Gossip(routes.lines, database, replica_id),
        live=live,
        limiter=limiter,
        shelf=Shelf(Memory(settings.cache.memory_bytes_max), shared, database),
        gateway=gateway,
        streams=Streams(stream_settings(settings), shared),
        teller=teller,
        guards=guards,
        errands=errands,
        collecting=collecting,
        actions=Actions.open(
            database, tenant_keys, secret, policy, stack, by_tool=ByTool(tooling.toolbox, tooling.runner)
        ),
        archive=archive,
        copies=copies,
        questions=questions,
        talks=talks,
        tooling=tooling,
        tuning=tuning,
        background=background,
    )


def policy_of(settings: Settings) -> EgressPolicy:
    return EgressPolicy(frozenset(settings.egress.allow_http_hosts), frozenset(settings.egress.allow_private_hosts))


async def _open_database(settings: Settings, stack: AsyncExitStack) -> Database:
    url = settings.database_url
    if not url:
        embedded = await EmbeddedPostgres.start(settings.data_path / "postgres")
        stack.push_async_callback(embedded.stop)
        url = embedded.url
    await migrate(url)
    given = settings.database
    limits = DatabaseSettings(url, given.pool_max, given.command_timeout_s, acquire_timeout_s=given.acquire_timeout_s)
    database = await Database.open(limits)
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


async def _open_ledger(settings: Settings, database: Database, stack: AsyncExitStack) -> Ledger:
    new = NewAccounts(from_decimal_text(settings.credits.default_grant), settings.credits.tenant_unlimited)
    ledger = await LeasedLedger.open(database, LedgerSettings(new))
    stack.push_async_callback(ledger.close)
    return ledger


def _gateway(
    settings: Settings,
    routes: Routes,
    ledger: Ledger,
    limiter: Limiter,
    *,
    live: LiveCalls,
    teller: Teller,
    guards: Guards,
) -> Gateway:
    chat, per_usd = settings.chat, from_decimal_text(settings.credits.per_usd)
    terms = Terms(per_usd, chat.default_max_output_tokens, chat.unknown_price == "free")
    admission = Admission(Candidates(routes, strategies_of(settings)), ledger, limiter, terms)
    patience = GatewaySettings(
        chat.attempts_max, chat.first_token_timeout_s, chat.idle_timeout_s, settings.routing.hedging
    )
    return Gateway(admission, Settlement(ledger, per_usd, teller.tell), live, patience, guards)
