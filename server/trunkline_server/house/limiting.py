"""From the settings to limits: who counts, and how much there may be of what."""

from __future__ import annotations

from trunkline_server.config import Settings
from trunkline_server.core.money import from_decimal_text
from trunkline_server.door.pressure import PressureSettings
from trunkline_server.gateway.cache.wish import CacheSettings
from trunkline_server.gateway.limits.book import Book
from trunkline_server.gateway.limits.limiter import Limiter
from trunkline_server.gateway.limits.local import LocalCounters
from trunkline_server.gateway.limits.shared import HERE_AGAIN_S, SharingCounters
from trunkline_server.gateway.streams.streams import StreamSettings
from trunkline_server.house.ground import Ground
from trunkline_server.worker.chores import Chore, in_parts


async def open_limiter(ground: Ground) -> Limiter:
    """Counts together with other replicas where there is something that they share."""
    limiter = Limiter(Book(ground.database), await _counters(ground))
    ground.stack.push_async_callback(limiter.close)
    return limiter


async def _counters(ground: Ground) -> LocalCounters | SharingCounters:
    if ground.shared is None:
        return LocalCounters()
    counters = SharingCounters(ground.shared, ground.replica_id, ground.settings.limits.replicas_min)
    await counters.count_replicas()
    return counters


def limit_chores(limiter: Limiter) -> list[Chore]:
    chores = [
        Chore("refresh_limits", 300, limiter.book.refresh),
        Chore("expire_budget_holds", 60, in_parts(limiter.book.budgets.expire)),
        Chore("forget_budget_windows", 3600, in_parts(limiter.book.budgets.forget)),
        Chore("purge_browser_tokens", 600, in_parts(limiter.book.lent.purge)),
    ]
    if isinstance(limiter.counters, SharingCounters):
        chores.append(Chore("count_replicas", HERE_AGAIN_S, limiter.counters.count_replicas))
    return chores


def cache_settings(settings: Settings) -> CacheSettings:
    given = settings.cache
    return CacheSettings(
        given.ttl_s, given.stale_s, given.answer_bytes_max, from_decimal_text(given.hit_price), given.embedding_model
    )


def stream_settings(settings: Settings) -> StreamSettings:
    given = settings.streams
    return StreamSettings(
        given.grace_s, given.keep_s, given.bytes_max, given.memory_bytes_max, settings.grpc.heartbeat_s
    )


def pressure_settings(settings: Settings) -> PressureSettings:
    given = settings.overload
    return PressureSettings(given.calls_min, given.calls_max, given.lag_s)
