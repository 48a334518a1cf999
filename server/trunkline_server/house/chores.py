"""What is done again and again: by every replica for itself, or by one of them for all."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from trunkline_server.config import Settings
from trunkline_server.door.contract import contract_here
from trunkline_server.door.tls import Tls
from trunkline_server.gateway.checkups import Checkups
from trunkline_server.gateway.health_news import HealthNews
from trunkline_server.gateway.talks.turns import RENEW_S
from trunkline_server.gateway.vitals import Vitals
from trunkline_server.house.engine import Engine
from trunkline_server.house.entrance import Entrance
from trunkline_server.house.keeping import keep
from trunkline_server.house.limiting import limit_chores
from trunkline_server.house.securing import tls_chores
from trunkline_server.store.idempotency import Idempotency
from trunkline_server.store.nonces import Nonces
from trunkline_server.store.provider_checks import ProviderChecks
from trunkline_server.worker.bookkeeping import bookkeeping
from trunkline_server.worker.chores import Chore, in_parts
from trunkline_server.worker.rollups import roll_ups
from trunkline_server.worker.schedules import Runner

SYNC_EVERY_S: Final = 24 * 3600
SYNC_FIRST_WITHIN_S: Final = 3600


async def keep_up(entrance: Entrance, vitals: Vitals, tls: tuple[Tls, Tls] | None) -> None:
    """Until the house is closed."""
    engine, ground = entrance.engine, entrance.engine.ground
    news = await _health_news(entrance, vitals)
    own = [*_chores_of_each(entrance), Chore("watch_health", 10, news.look), *tls_chores(ground.settings, tls)]
    for_all = Runner(ground.database, _chores_for_all(engine, entrance.results))
    keep(ground.stack, contract_here().warmed(), entrance.pressure.watch(), for_all.run())
    keep(ground.stack, *engine.background.listeners())
    keep(ground.stack, *(chore.repeat() for chore in own))


async def _health_news(entrance: Entrance, vitals: Vitals) -> HealthNews:
    ground, default = entrance.engine.ground, await entrance.tenants.ensure("default")
    return HealthNews(vitals.told, entrance.engine.calls.teller.tell, default.tenant_id, ground.replica_id)


def _chores_of_each(entrance: Entrance) -> list[Chore]:
    """Every replica has them; what one does, the others find done."""
    engine, calls = entrance.engine, entrance.engine.calls
    return [
        Chore("expire_reservations", 5, calls.ledger.expire_due),
        Chore("note_key_use", 60, lambda: entrance.keys.note_use(entrance.callers.take_used())),
        Chore("refresh_catalogue", 300, calls.learning.refresh),
        Chore("refresh_provider_accounts", 300, calls.own.refresh),
        Chore("refresh_tuned_models", 300, engine.tuning.models.refresh),
        Chore("renew_turns", RENEW_S, engine.talks.turns.renew),
        *limit_chores(calls.limiter),
    ]


def _chores_for_all(engine: Engine, results: Idempotency) -> list[Chore]:
    """What one replica does for all of them."""
    settings = engine.ground.settings
    return [
        Chore("purge_answers", 600, in_parts(results.purge)),
        Chore("purge_nonces", 10, Nonces(engine.ground.database).purge),
        Chore("sign_audit", 60, engine.audit.sign_heads),
        Chore("sync_models", SYNC_EVERY_S, engine.calls.sync.all, SYNC_FIRST_WITHIN_S),
        *_checkups(engine),
        *roll_ups(engine.ground.database, settings.analytics.keep_days),
        *bookkeeping(engine.ground.database, settings.credits.hold_retention_days),
        *engine.actions.chores(),
        Chore("forget_similar", 600, lambda: engine.shelf.similar.forget(settings.cache.similar_entries_max)),
        Chore("purge_conversations", 600, in_parts(lambda: engine.talks.conversations.purge(*_kept(settings)))),
        Chore("sweep_copies", 60, engine.copies.sweep),
        Chore("sweep_search_stores", 60, engine.questions.stores.sweep),
        Chore("sweep_files", 60, engine.archive.sweep),
        *engine.collecting.chores(),
        *engine.background.chores(),
    ]


def _checkups(engine: Engine) -> list[Chore]:
    every_s, routes = engine.ground.settings.routing.check_every_s, engine.calls.routes
    checkups = Checkups(routes.registry, routes.lines, ProviderChecks(engine.ground.database))
    return [Chore("check_providers", every_s, checkups.all)] if every_s else []


def _kept(settings: Settings) -> tuple[timedelta, timedelta]:
    """Conversations: how long when they are deleted, and how long when nobody speaks in them."""
    given = settings.conversations
    return timedelta(days=given.deleted_keep_days), timedelta(days=given.idle_keep_days)
