"""Asks providers which models they offer; each answers, or fails, for itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.model import ModelEntry
from trunkline_server.core.offered import Offered
from trunkline_server.core.pricing import Price
from trunkline_server.gateway.learning import Learning
from trunkline_server.providers.provider import Upstream
from trunkline_server.providers.registry import Registry
from trunkline_server.store.offers import Difference

_log = logging.getLogger(__name__)

ASK_S_MAX: Final = 20.0
MODELS_MAX: Final = 10_000
NAME_CHARS_MAX: Final = 200
REFUSALS_LOGGED_MAX: Final = 10


@dataclass(frozen=True, slots=True)
class Synced:
    """What a provider's list said, or why there was none. `prices` are those by model that count from now on."""

    provider: str
    model_count: int = 0
    difference: Difference | None = None
    prices: Mapping[str, Price] = field(default_factory=dict)
    failure: UpstreamFailure | None = None


class Sync:
    """Notes what providers offer."""

    def __init__(self, registry: Registry, learning: Learning) -> None:
        self._registry = registry
        self._learning = learning

    async def all(self) -> None:
        """Ask every provider that is on; failures are logged."""
        for synced in await self.run(self._registry.enabled):
            if synced.failure is not None:
                _log.warning("models.sync_failed provider=%s kind=%s", synced.provider, synced.failure.kind.value)

    async def run(self, providers: Sequence[str], within_s: float = ASK_S_MAX) -> list[Synced]:
        """Ask these, at once. Raises PROVIDER_DISABLED, STORE_UNAVAILABLE."""
        upstreams = [self._registry.upstream(name) for name in sorted(providers)]
        synced = await asyncio.gather(*(self._one(each, within_s) for each in upstreams))
        await self._learning.refresh()
        return [replace(each, prices=self._learning.counting(each.provider, each.prices)) for each in synced]

    async def _one(self, upstream: Upstream, within_s: float) -> Synced:
        try:
            async with asyncio.timeout(within_s):
                offered = await upstream.models()
        except UpstreamFailure as failure:
            return Synced(upstream.name, failure=failure)
        except TimeoutError:
            return Synced(upstream.name, failure=UpstreamFailure(FailureKind.TIMEOUT_FIRST_TOKEN))
        except Exception:  # noqa: BLE001 - the wire of an installed provider is other people's code
            return Synced(upstream.name, failure=UpstreamFailure(FailureKind.BROKEN))
        return await self._note(upstream.name, _usable(offered))

    async def _note(self, provider: str, offered: Sequence[Offered]) -> Synced:
        _log_refused(provider, [each for each in offered if each.refused])
        difference = await self._learning.offers.note(provider, [_entry(provider, each) for each in offered])
        prices = await self._learning.learn(provider, {each.name: each.tiers for each in offered if each.tiers})
        return Synced(provider, len(offered), difference, prices)


def _usable(offered: Iterable[Offered]) -> list[Offered]:
    """Those with names that can be kept and shown: a provider may say anything."""
    named = {each.name: each for each in offered if each.name and _is_plain(each.name)}
    return list(named.values())[:MODELS_MAX]


def _entry(provider: str, told: Offered) -> ModelEntry:
    shown = told.display_name if _is_plain(told.display_name) else ""
    return ModelEntry(provider, told.name, shown, None, told.context_window, told.max_output_tokens)


def _log_refused(provider: str, refused: Sequence[Offered]) -> None:
    """What a list says of prices and nobody can mean."""
    if refused:
        some = "; ".join(f"{each.name}: {each.refused}" for each in refused[:REFUSALS_LOGGED_MAX])
        _log.warning("models.prices_refused provider=%s count=%d some=%s", provider, len(refused), some)


def _is_plain(text: str) -> bool:
    return len(text) <= NAME_CHARS_MAX and text.isprintable()
