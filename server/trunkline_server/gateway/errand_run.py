"""Work other than chat on its way through the gateway: done piece by piece where the provider takes only so much."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Self, cast

from trunkline.v1 import chat_pb2, receipt_pb2, usage_pb2
from trunkline_server.core import money
from trunkline_server.core.cancel_billing import CancelBilling
from trunkline_server.core.counts import COUNTS
from trunkline_server.core.errand import Errand, InputT
from trunkline_server.core.money import NANOS
from trunkline_server.core.operation import Operation
from trunkline_server.core.pricing import bill
from trunkline_server.core.product import BodyT, Product
from trunkline_server.gateway.begun import Begun
from trunkline_server.gateway.run import COUNTED_PARTIAL, ESTIMATE, NONE, PROVIDER_USAGE, Run
from trunkline_server.gateway.terms import Offer
from trunkline_server.wire.craft import Craft, LongCraft

if TYPE_CHECKING:
    from trunkline_server.gateway.errand_work import ErrandWork
    from trunkline_server.gateway.gateway import Gateway
    from trunkline_server.gateway.journal import Journal


@dataclass(slots=True)
class ErrandRun(Run[InputT], Generic[InputT, BodyT]):
    """`operation`: what the provider calls long work that it has begun."""

    pieces: Sequence[Errand[InputT]] = ()
    products: list[Product[BodyT]] = field(default_factory=list)
    operation: str = ""
    whole: Product[BodyT] | None = None
    is_withheld: bool = False
    """A guard has kept all of it back."""

    @property
    def craft(self) -> Craft[InputT, BodyT] | LongCraft[InputT, BodyT]:
        craft: Craft[InputT, BodyT] | LongCraft[InputT, BodyT]
        craft = cast("Any", self.route.upstream.provider.crafts[self.work.operation])
        return craft

    @property
    def journal(self) -> Journal:
        return cast("ErrandWork[InputT, BodyT]", self.work).journal

    @property
    def is_idempotent(self) -> bool:
        return isinstance(self.craft, Craft) and self.craft.is_idempotent

    @property
    def in_own_time(self) -> bool:
        return isinstance(self.craft, LongCraft)

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
            self.whole = await self.journal.do(Begun(self, craft))
            self.products.append(self.whole)
            return
        self.pieces = self.pieces or craft.split(self.errand)
        for piece in self.pieces[len(self.products) :]:
            self.in_flight = True
            self.products.append(await self._made(craft, piece))
            self.in_flight = False
            await self.journal.told(len(self.products) / len(self.pieces), self._at)
        self.whole = craft.join(self.errand, self.products)

    async def reads(self) -> AsyncGenerator[None, None]:
        await self.attempt()
        yield

    async def look_through(self, gateway: Gateway) -> None:
        shield = self.work.shield
        if shield is not None:
            self.is_withheld = not await gateway.guards.may_tell(gateway, self.call, shield, self.product.body)

    def start_over(self) -> None:
        """There is nothing to forget: what was answered is kept."""

    def move(self, offer: Offer) -> None:
        Run.move(self, offer)
        self.pieces, self.products, self.whole = (), [], None

    def adopt(self, other: Self) -> None:
        Run.adopt(self, other)
        self.pieces, self.products, self.whole = other.pieces, other.products, other.whole

    def outcome_of(self) -> chat_pb2.Outcome.ValueType:
        filtered = self.is_withheld or any(product.filtered for product in self.products)
        return chat_pb2.OUTCOME_FILTERED if filtered else chat_pb2.OUTCOME_COMPLETED

    def measured(self) -> tuple[usage_pb2.Usage, str]:
        """Every piece is billed by itself: by what the provider says, else by what was asked for."""
        told = [product.usage for product in self.products]
        used = [self._used(usage, piece) for usage, piece in zip(told, self.pieces, strict=False)]
        unbilled = self.route.upstream.provider.cancel_billing is CancelBilling.NO_BILL
        if self.in_flight and len(self.pieces) > len(used) and not (unbilled or self.journal.goes_on):
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

    async def _made(self, craft: Craft[InputT, BodyT], piece: Errand[InputT]) -> Product[BodyT]:
        make = partial(self.route.upstream.make, craft, piece)
        return await (make() if craft.is_idempotent else self.journal.once(make))

    @property
    def _at(self) -> str:
        return f"{self.route.provider}/{self.route.model}: {len(self.products)} of {len(self.pieces)}"


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
        guard_findings=run.work.shield.findings() if run.work.shield is not None else None,
    )
