"""Looks regularly whether providers answer and take our keys, by asking for their models: that costs nothing."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

from trunkline_server.core.failure import RULES, Breaker, FailureKind, UpstreamFailure
from trunkline_server.gateway.lines import Lines
from trunkline_server.providers.provider import Upstream
from trunkline_server.providers.registry import Registry
from trunkline_server.store.provider_checks import Found, ProviderChecks

_log = logging.getLogger(__name__)

ASK_S_MAX: Final = 10.0
_WELL: Final = frozenset((Breaker.NEUTRAL, Breaker.THROTTLE))
"""Who says that it has no list, or is busy, is there."""


@dataclass(frozen=True, slots=True)
class Checkups:
    """Of the gateway's own ways to providers, not of tenants'."""

    registry: Registry
    lines: Lines
    checks: ProviderChecks

    async def all(self) -> None:
        """Every provider that is on, at once."""
        upstreams = [self.registry.upstream(name) for name in self.registry.enabled]
        found = await asyncio.gather(*map(_look, upstreams))
        for each in found:
            self.lines.trunk(each.provider).health.tested(each.failure_kind)
            if each.failure_kind:
                _log.warning("provider.ill provider=%s kind=%s", each.provider, each.failure_kind)
        await self.checks.note(found)


async def _look(upstream: Upstream) -> Found:
    loop = asyncio.get_running_loop()
    began = loop.time()
    kind = await _failure(upstream)
    return Found(upstream.name, kind, round((loop.time() - began) * 1000))


async def _failure(upstream: Upstream) -> str:
    try:
        async with asyncio.timeout(ASK_S_MAX):
            await upstream.models()
    except UpstreamFailure as failure:
        return "" if RULES[failure.kind].breaker in _WELL else failure.kind.value
    except TimeoutError:
        return FailureKind.TIMEOUT_FIRST_TOKEN.value
    except Exception:  # noqa: BLE001 - the wire of an installed provider is other people's code
        return FailureKind.BROKEN.value
    return ""
