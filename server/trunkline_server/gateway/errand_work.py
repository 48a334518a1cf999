"""Work other than chat: what it needs, and what it can cost at most."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, Self

from trunkline.v1 import audio_pb2
from trunkline_server.core.blobs import blobs_of
from trunkline_server.core.call import Call
from trunkline_server.core.counts import COUNTS
from trunkline_server.core.errand import Errand, InputT
from trunkline_server.core.errors import Reason, invalid
from trunkline_server.core.guard.rewriting import change_words
from trunkline_server.core.guard.shield import Shield
from trunkline_server.core.operation import CAPABILITIES, Operation
from trunkline_server.core.pricing import FREE_OF_CHARGE, most_used, price_unknown
from trunkline_server.core.product import BodyT
from trunkline_server.gateway.errand_run import ErrandRun
from trunkline_server.gateway.journal import UNWRITTEN, Journal
from trunkline_server.gateway.needs import Needs
from trunkline_server.gateway.routes import Route
from trunkline_server.gateway.shared_account import require_own
from trunkline_server.gateway.speech_run import SpeechRun
from trunkline_server.gateway.terms import Offer, Terms
from trunkline_server.gateway.work import RunT_co, Work


@dataclass(frozen=True, slots=True)
class _Errand(Work[InputT, RunT_co], Generic[InputT, RunT_co]):
    """What is alike for all of it."""

    def needs(self) -> Needs:
        addresses = any(blob.WhichOneof("source") == "uri" for blob, _, _ in blobs_of(self.input))
        return Needs(frozenset({CAPABILITIES[self.operation]}), addresses)

    def input_tokens(self) -> int:
        return COUNTS[self.operation].usual(self.input).input_tokens

    def offer(self, route: Route, terms: Terms, *, charged: bool) -> Offer:
        require_craft(self.operation, route)
        require_own(self.input, route)
        counts = COUNTS[self.operation]
        usage = counts.most(self.input)
        if route.price is not None:
            bill = most_used(route.price, usage, counts.paying, terms.credits_per_usd_nanos)
            return Offer(route, usage.input_tokens, bill)
        if charged and not terms.unknown_price_is_free:
            raise price_unknown(f"the model {self.input.model!r}")
        return Offer(route, usage.input_tokens, FREE_OF_CHARGE)

    def shielded(self, shield: Shield) -> Self:
        return replace(self, input=change_words(self.input, shield.text, shield.options), shield=shield)

    def errand(self, call: Call, offer: Offer) -> Errand[InputT]:
        return Errand(
            provider=offer.route.provider,
            model=offer.route.model,
            input=self.input,
            options=self.options(offer.route.provider),
            end_user=call.user_id,
            pace=offer.route.line.pace,
        )


@dataclass(frozen=True, slots=True)
class ErrandWork(_Errand[InputT, ErrandRun[InputT, BodyT]], Generic[InputT, BodyT]):
    """Work that is answered in one piece. `journal`: where it writes what it begins."""

    kind: Operation = Operation.EMBED
    journal: Journal = UNWRITTEN

    @property
    def operation(self) -> Operation:
        return self.kind

    @property
    def run_type(self) -> type[ErrandRun[InputT, BodyT]]:
        return ErrandRun


@dataclass(frozen=True, slots=True)
class SpeechWork(_Errand[audio_pb2.SpeechInput, SpeechRun]):
    """A text to be spoken, heard while it is made."""

    @property
    def operation(self) -> Operation:
        return Operation.SPEECH

    @property
    def run_type(self) -> type[SpeechRun]:
        return SpeechRun


def require_craft(operation: Operation, route: Route) -> None:
    """Raises CAPABILITY_UNSUPPORTED."""
    if operation not in route.upstream.provider.crafts:
        what = operation.value.replace("_", " ")
        raise invalid("input.model", f"{route.provider} does no {what}", Reason.CAPABILITY_UNSUPPORTED)
