"""Long work of a run at its provider: begun, asked after with patience, stopped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Generic, Protocol

import msgspec

from trunkline_server.core.errand import Errand, InputT
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.product import BodyT, Product
from trunkline_server.gateway.routes import Route
from trunkline_server.wire.craft import LongCraft, Pending

POLL_FAILURES_MAX: Final = 5
"""How often in a row a provider may fail to say how far long work is."""

_PASSING: Final = frozenset(
    (FailureKind.NEVER_SENT, FailureKind.THROTTLED, FailureKind.TRANSIENT, FailureKind.AMBIGUOUS, FailureKind.BROKEN)
)


class Place(msgspec.Struct, frozen=True):
    """Where long work goes on: `operation` is what the craft of that provider needs."""

    provider: str
    model: str
    operation: str


class Asker(Protocol[InputT]):
    """A run that has had long work begun. `operation`: what the provider calls it."""

    route: Route
    errand: Errand[InputT]
    operation: str


@dataclass(slots=True)
class Begun(Generic[InputT, BodyT]):
    """What a run has had begun."""

    run: Asker[InputT]
    craft: LongCraft[InputT, BodyT]
    failures: int = 0
    percent: int = 0

    @property
    def poll_s(self) -> float:
        return self.craft.poll_s

    async def submit(self) -> str:
        route = self.run.route
        self.run.operation = await route.upstream.submit(self.craft, self.run.errand)
        return msgspec.json.encode(Place(route.provider, route.model, self.run.operation)).decode()

    async def poll(self, operation: str) -> Pending | Product[BodyT]:
        """A few failures to say how far it is are passed over."""
        self.run.operation = place_of(operation).operation
        try:
            state = await self.run.route.upstream.poll(self.craft, self.run.errand, self.run.operation)
        except UpstreamFailure as failure:
            self.failures += 1
            if failure.is_final:
                self.run.operation = ""
            if failure.is_final or failure.kind not in _PASSING or self.failures > POLL_FAILURES_MAX:
                raise
            return Pending(self.percent)
        self.failures = 0
        if isinstance(state, Pending):
            self.percent = state.percent
        return state

    async def abandon(self, operation: str) -> None:
        await self.run.route.upstream.abandon(self.craft, place_of(operation).operation)


def place_of(operation: str) -> Place:
    return msgspec.json.decode(operation, type=Place)
