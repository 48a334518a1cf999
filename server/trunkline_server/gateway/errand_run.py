"""Work other than chat on its way through the gateway: done piece by piece where the provider takes only so much."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Self, cast

from trunkline.v1 import chat_pb2, receipt_pb2, usage_pb2
from trunkline_server.core import money
from trunkline_server.core.cancel_billing import CancelBilling
from trunkline_server.core.counts import COUNTS
from trunkline_server.core.errand import Errand, InputT
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.money import NANOS
from trunkline_server.core.operation import Operation
from trunkline_server.core.pricing import bill
from trunkline_server.core.product import BodyT, Product
from trunkline_server.gateway.run import COUNTED_PARTIAL, ESTIMATE, NONE, PROVIDER_USAGE, Run
from trunkline_server.gateway.terms import Offer
from trunkline_server.wire.craft import Craft, LongCraft, Pending

_log = logging.getLogger(__name__)

POLL_FAILURES_MAX: Final = 5
"""How often in a row a provider may fail to say how far long work is."""

_PASSING: Final = frozenset(
    (FailureKind.NEVER_SENT, FailureKind.THROTTLED, FailureKind.TRANSIENT, FailureKind.AMBIGUOUS, FailureKind.BROKEN)
)
_abandoning: set[asyncio.Task[None]] = set()


@dataclass(slots=True)
class ErrandRun(Run[InputT], Generic[InputT, BodyT]):
    """`operation`: what the provider calls long work that it has begun."""

    pieces: Sequence[Errand[InputT]] = ()
    products: list[Product[BodyT]] = field(default_factory=list)
    operation: str = ""
    whole: Product[BodyT] | None = None

    @property
    def craft(self) -> Craft[InputT, BodyT] | LongCraft[InputT, BodyT]:
        craft: Craft[InputT, BodyT] | LongCraft[InputT, BodyT]
        craft = cast("Any", self.route.upstream.provider.crafts[self.work.operation])
        return craft

    @property
    def is_idempotent(self) -> bool:
        return isinstance(self.craft, Craft) and self.craft.is_idempotent

    @property
    def is_bound(self) -> bool:
        """All pieces come from one model."""
        return bool(self.products)

    @property
    def may_hedge(self) -> bool:
        return self.work.operation is Operation.EMBED and not self.is_bound

    @property
    def may_be_cut(self) -> bool:
        """Pieces that are done would be lost."""
        craft = self.craft
        if not self.is_idempotent or self.is_bound or not isinstance(craft, Craft):
            return False
        self.pieces = self.pieces or craft.split(self.errand)
        return len(self.pieces) == 1

    @property
    def may_repeat(self) -> bool:
        """What was begun is asked after, not begun again."""
        return not self.operation

    async def attempt(self) -> None:
        """Pieces that are done stay done."""
        craft = self.craft
        if isinstance(craft, LongCraft):
            self.pieces = (self.errand,)
            self.whole = await self._long(craft)
            self.products.append(self.whole)
            return
        self.pieces = self.pieces or craft.split(self.errand)
        for piece in self.pieces[len(self.products) :]:
            self.in_flight = True
            self.products.append(await self.route.upstream.make(craft, piece))
            self.in_flight = False
        self.whole = craft.join(self.errand, self.products)

    async def reads(self) -> AsyncGenerator[None, None]:
        await self.attempt()
        yield

    def start_over(self) -> None:
        """There is nothing to forget: what was answered is kept."""

    def move(self, offer: Offer) -> None:
        Run.move(self, offer)
        self.pieces, self.products, self.whole = (), [], None

    def adopt(self, other: Self) -> None:
        Run.adopt(self, other)
        self.pieces, self.products, self.whole = other.pieces, other.products, other.whole

    def outcome_of(self) -> chat_pb2.Outcome.ValueType:
        filtered = any(product.filtered for product in self.products)
        return chat_pb2.OUTCOME_FILTERED if filtered else chat_pb2.OUTCOME_COMPLETED

    def measured(self) -> tuple[usage_pb2.Usage, str]:
        """Every piece is billed by itself: by what the provider says, else by what was asked for."""
        told = [product.usage for product in self.products]
        used = [self._used(usage, piece) for usage, piece in zip(told, self.pieces, strict=False)]
        unbilled = self.route.upstream.provider.cancel_billing is CancelBilling.NO_BILL
        if self.in_flight and len(self.pieces) > len(used) and not unbilled:
            used.append(self._counted(self.pieces[len(used)]))
            basis = COUNTED_PARTIAL
        elif not used:
            return usage_pb2.Usage(), NONE
        else:
            basis = PROVIDER_USAGE if all(told) else ESTIMATE
        self.rounds = used[:-1]
        return used[-1], basis

    @property
    def product(self) -> Product[BodyT]:
        """What came of it all, once it has ended well."""
        return cast("Product[BodyT]", self.whole)

    def receipt(self) -> receipt_pb2.Receipt:
        """Who answered, and the bill."""
        return receipt_of(self, self.product.model, self.product.response_id)

    def _used(self, told: usage_pb2.Usage | None, piece: Errand[InputT]) -> usage_pb2.Usage:
        """What the provider says, unless the price counts nothing of it: then what was asked for."""
        counted, price = self._counted(piece), self.route.price
        if told is None:
            return counted
        is_free = price is not None and not bill(price, told, NANOS).cost_nano_usd
        return counted if is_free and price and bill(price, counted, NANOS).cost_nano_usd else told

    def _counted(self, piece: Errand[InputT]) -> usage_pb2.Usage:
        return COUNTS[self.work.operation].usual(piece.input)

    async def _long(self, craft: LongCraft[InputT, BodyT]) -> Product[BodyT]:
        """Begin it once, and ask after it until it is done."""
        self.operation = await self.route.upstream.submit(craft, self.errand)
        try:
            return await self._polled(craft)
        except asyncio.CancelledError:
            self._leave(craft)
            raise
        except UpstreamFailure as failure:
            if failure.kind in _PASSING:
                self._leave(craft)
            raise

    async def _polled(self, craft: LongCraft[InputT, BodyT]) -> Product[BodyT]:
        failures = 0
        while True:
            await asyncio.sleep(craft.poll_s)
            try:
                state = await self.route.upstream.poll(craft, self.errand, self.operation)
            except UpstreamFailure as failure:
                failures += 1
                if failure.kind not in _PASSING or failures > POLL_FAILURES_MAX:
                    raise
                continue
            failures = 0
            if not isinstance(state, Pending):
                return state

    def _leave(self, craft: LongCraft[InputT, BodyT]) -> None:
        """Nobody waits any more for what may still go on: have it stopped, without waiting for that either."""
        task = asyncio.get_running_loop().create_task(self._abandon(craft))
        _abandoning.add(task)
        task.add_done_callback(_abandoning.discard)

    async def _abandon(self, craft: LongCraft[InputT, BodyT]) -> None:
        try:
            await self.route.upstream.abandon(craft, self.operation)
        except UpstreamFailure as failure:
            _log.warning("operation.goes_on completion=%s kind=%s", self.spelled_id, failure.kind.value)


def receipt_of(run: Run[Any], model: str, response_id: str) -> receipt_pb2.Receipt:
    """Who answered a run that has ended, and the bill."""
    return receipt_pb2.Receipt(
        completion_id=run.spelled_id,
        provider=run.route.provider,
        model=model or run.route.model,
        provider_response_id=response_id,
        create_time=run.create_time,
        end_time=run.end_time,
        usage=run.usage,
        cost=money.usd(run.bill.cost_nano_usd),
        charge=money.credits(run.bill.charge_nanos),
        attempts=run.attempts,
        warnings=run.errand.warnings,
        outcome=run.outcome,
        price_version=run.bill.price_version,
    )
