"""What a model can do, as far as its price tells: a model that is sold by the picture makes pictures."""

from __future__ import annotations

from typing import Final, TypeAlias

from trunkline.v1 import models_pb2
from trunkline_server.core.counts import COUNTS
from trunkline_server.core.operation import CAPABILITIES, Operation
from trunkline_server.core.pricing import INPUT, OUTPUT, Price
from trunkline_server.providers.provider import Provider

Abilities: TypeAlias = frozenset[models_pb2.Capability.ValueType]

_TOKENS: Final = frozenset((INPUT, OUTPUT))
_READERS: Final = frozenset((Operation.EMBED, Operation.MODERATION))
"""Models that read and say nothing."""


def abilities_of(provider: Provider, price: Price | None) -> Abilities:
    """Those of the provider's chat for what has no price, or one that every kind of work may have."""
    units = frozenset(unit for tier in price.tiers for unit in tier.units) if price else frozenset()
    own = frozenset(CAPABILITIES[operation] for operation in provider.crafts if _pays(operation, units))
    if OUTPUT in units or not own:
        return own | provider.wire.capabilities or provider.capabilities
    return own


def _pays(operation: Operation, units: frozenset[str]) -> bool:
    """Whether it is this work that such a price is for."""
    if operation in _READERS:
        return INPUT in units and OUTPUT not in units
    return bool(units & (COUNTS[operation].paying - _TOKENS))
