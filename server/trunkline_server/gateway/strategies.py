"""In which order the candidates of a call are asked."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from trunkline.v1 import chat_pb2
from trunkline_server.gateway.routes import NAMES_MAX, Route

Strategy: TypeAlias = chat_pb2.RoutingStrategy.ValueType
PriceOf: TypeAlias = Callable[[Route], int | None]

PRIORITY: Final = chat_pb2.ROUTING_STRATEGY_PRIORITY


class Strategies:
    """`weights` are by `provider/model` or by provider; a candidate without one weighs 1."""

    def __init__(self, default: Strategy, weights: Mapping[str, float]) -> None:
        self.default = default
        self._weights = weights
        self._turns: dict[str, int] = {}

    def order(
        self, strategy: Strategy, name: str, routes: Sequence[Route], *, price_of: PriceOf, streaming: bool
    ) -> Sequence[Route]:
        """The same routes. What is not known (a price) goes last, what was never measured (a latency) first."""
        match strategy:
            case chat_pb2.ROUTING_STRATEGY_ROUND_ROBIN:
                return self._in_turn(name, routes)
            case chat_pb2.ROUTING_STRATEGY_WEIGHTED:
                return sorted(routes, key=self._lot)
            case chat_pb2.ROUTING_STRATEGY_LEAST_COST:
                return sorted(routes, key=lambda route: _or_last(price_of(route)))
            case chat_pb2.ROUTING_STRATEGY_LEAST_LATENCY:
                return sorted(routes, key=lambda route: route.line.latency.typical_s(streaming=streaming) or 0.0)
            case _:
                return routes

    def _in_turn(self, name: str, routes: Sequence[Route]) -> Sequence[Route]:
        if len(self._turns) >= NAMES_MAX:
            self._turns.clear()
        turn = self._turns[name] = self._turns.get(name, -1) + 1
        at = turn % len(routes)
        return [*routes[at:], *routes[:at]]

    def _lot(self, route: Route) -> float:
        """Sorting by these draws without replacement, each by its weight."""
        weight = self._weights.get(f"{route.provider}/{route.model}", self._weights.get(route.provider, 1.0))
        return random.expovariate(1.0) / weight if weight > 0 else math.inf


def _or_last(price_nanos: int | None) -> float:
    return math.inf if price_nanos is None else price_nanos
