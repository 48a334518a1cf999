"""What makes a call: where it can go, what pays it, what keeps it within bounds, and the gateway over these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from trunkline_server.gateway.admission import Admission
from trunkline_server.gateway.breaker_news import BreakerNews
from trunkline_server.gateway.candidates import Candidates
from trunkline_server.gateway.gateway import Gateway, GatewaySettings
from trunkline_server.gateway.gossip import Gossip
from trunkline_server.gateway.guards import detectors
from trunkline_server.gateway.guards.guards import Guards
from trunkline_server.gateway.guards.policies import Policies
from trunkline_server.gateway.learning import Learning
from trunkline_server.gateway.limits.limiter import Limiter
from trunkline_server.gateway.live import LiveCalls
from trunkline_server.gateway.own_accounts import OwnAccounts
from trunkline_server.gateway.routes import Routes
from trunkline_server.gateway.settlement import Settlement
from trunkline_server.gateway.sync import Sync
from trunkline_server.gateway.terms import Terms
from trunkline_server.house.ground import Ground
from trunkline_server.house.guarding import house_guard
from trunkline_server.house.limiting import open_limiter
from trunkline_server.house.routing import open_routes, strategies_of
from trunkline_server.store.accounts import NewAccounts
from trunkline_server.store.leased_ledger import LeasedLedger
from trunkline_server.store.ledger import Ledger, LedgerSettings
from trunkline_server.store.provider_accounts import ProviderAccounts
from trunkline_server.store.teller import Teller


@dataclass(frozen=True)
class Calls:
    """For those who ask at the doors and for jobs alike."""

    ledger: Ledger
    routes: Routes
    learning: Learning
    sync: Sync
    accounts: ProviderAccounts
    own: OwnAccounts
    gossip: Gossip
    limiter: Limiter
    teller: Teller
    guards: Guards
    gateway: Gateway

    @classmethod
    async def open(cls, ground: Ground) -> Self:
        settings, database = ground.settings, ground.database
        ledger, routes = await _open_ledger(ground), open_routes(settings, ground.stack)
        learning = Learning(routes, database, told_prices=settings.credits.provider_prices)
        limiter, teller = await open_limiter(ground), Teller(database)
        routes.lines.turned = BreakerNews(teller.tell).turned
        accounts = ProviderAccounts(database, ground.tenant_keys)
        guards = Guards(Policies(database, house_guard(settings), detectors.installed()))
        admission = _admission(ground, routes, ledger, limiter)
        settlement = Settlement(ledger, settings.credits.per_usd_nanos, teller.tell)
        return cls(
            ledger=ledger,
            routes=routes,
            learning=learning,
            sync=Sync(routes.registry, learning),
            accounts=accounts,
            own=OwnAccounts(routes, database, accounts),
            gossip=Gossip(routes.lines, database, ground.replica_id),
            limiter=limiter,
            teller=teller,
            guards=guards,
            gateway=_gateway(ground, admission, settlement, guards),
        )

    @property
    def live(self) -> LiveCalls:
        return self.gateway.live


async def _open_ledger(ground: Ground) -> Ledger:
    given = ground.settings.credits
    new = NewAccounts(given.default_grant_nanos, given.tenant_unlimited)
    ledger = await LeasedLedger.open(ground.database, LedgerSettings(new))
    ground.stack.push_async_callback(ledger.close)
    return ledger


def _admission(ground: Ground, routes: Routes, ledger: Ledger, limiter: Limiter) -> Admission:
    chat, per_usd_nanos = ground.settings.chat, ground.settings.credits.per_usd_nanos
    terms = Terms(per_usd_nanos, chat.default_max_output_tokens, chat.unknown_price == "free")
    return Admission(Candidates(routes, strategies_of(ground.settings)), ledger, limiter, terms)


def _gateway(ground: Ground, admission: Admission, settlement: Settlement, guards: Guards) -> Gateway:
    chat, hedging = ground.settings.chat, ground.settings.routing.hedging
    patience = GatewaySettings(chat.attempts_max, chat.first_token_timeout_s, chat.idle_timeout_s, hedging)
    return Gateway(admission, settlement, LiveCalls(), patience, guards)
