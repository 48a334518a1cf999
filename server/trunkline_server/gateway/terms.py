"""On what terms a call is admitted: the operator's rules, and what a call would cost at most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from trunkline_server.core.pricing import Bill
from trunkline_server.gateway.cost_limit import CostLimit
from trunkline_server.gateway.routes import Route


@dataclass(frozen=True, slots=True)
class Terms:
    """`default_max_output_tokens` 0: the model's own limit."""

    credits_per_usd_nanos: int
    default_max_output_tokens: int = 0
    unknown_price_is_free: bool = False


class Offer(NamedTuple):
    """What a call would use and cost at most at one candidate, and the cap that keeps it so.

    `cut_at`: where each answer is cut if it does not end by itself; None: it may be as long as the provider likes.
    """

    route: Route
    input_tokens: int
    bill: Bill
    """The highest that it can get."""
    max_output_tokens: int = 0
    cap: int | None = None
    cut_at: int | None = None
    cost_limit: CostLimit | None = None

    @property
    def most_nanos(self) -> int:
        """In credits."""
        return self.bill.charge_nanos
