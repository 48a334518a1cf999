"""What a provider's own list says of a model."""

from __future__ import annotations

from typing import Final, NamedTuple

from trunkline_server.core.pricing import Tier

TOKENS_MAX: Final = 2**31 - 1


class Offered(NamedTuple):
    """Limits in tokens; 0: the list does not say. `tiers` are its price, if it tells one, and `refused` says why not
    where that cannot be billed by.
    """

    name: str
    display_name: str = ""
    context_window: int = 0
    max_output_tokens: int = 0
    tiers: tuple[Tier, ...] = ()
    refused: str = ""


def tokens(told: float | None) -> int:
    """A limit as a list tells it: what is missing, or makes no sense, is not known."""
    return int(told) if told and 0 < told <= TOKENS_MAX else 0
