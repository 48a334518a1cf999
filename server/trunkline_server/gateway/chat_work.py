"""A question to a chat model as work for the gateway: what it needs, and what its answer can cost at most."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Self

from trunkline.v1 import chat_pb2, guard_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.core.call import Call
from trunkline_server.core.estimate import input_tokens
from trunkline_server.core.guard.shield import Shield
from trunkline_server.core.operation import Operation
from trunkline_server.core.pricing import FREE_OF_CHARGE, Bill, Price, most, price_unknown
from trunkline_server.core.tool_turns import unfolded
from trunkline_server.gateway.chat_run import ChatRun
from trunkline_server.gateway.cost_limit import CostLimit, affordable
from trunkline_server.gateway.journal import UNWRITTEN, Journal
from trunkline_server.gateway.limits.sizing import tokens_of
from trunkline_server.gateway.needs import Needs, needs_of
from trunkline_server.gateway.routes import Route
from trunkline_server.gateway.shared_account import require_own
from trunkline_server.gateway.terms import Offer, Terms
from trunkline_server.gateway.work import Work

MAX_OUTPUT_UNKNOWN: Final = 4096
"""Longest answer of a model whose own limit is not known; a charged caller's call is capped there."""
HOUR_S: Final = 3600


@dataclass(frozen=True, slots=True)
class ChatWork(Work[chat_pb2.ChatInput, ChatRun]):
    """The question, to be answered in one piece or as a stream."""

    journal: Journal = UNWRITTEN
    """Where it writes what a provider begins to answer in its own time."""

    @property
    def operation(self) -> Operation:
        return Operation.CHAT

    @property
    def run_type(self) -> type[ChatRun]:
        return ChatRun

    def needs(self) -> Needs:
        return needs_of(self.input, streaming=self.streaming)

    def input_tokens(self) -> int:
        return input_tokens(self.input)

    def offer(self, route: Route, terms: Terms, *, charged: bool) -> Offer:
        require_own(self.input, route)
        tokens = input_tokens(self.input)
        length, cap = self._length(route, terms)
        bill = FREE_OF_CHARGE
        if route.price is not None:
            bill = self._most(route.price, terms, tokens, length)
            if self.input.HasField("max_cost") and bill.charge_nanos > self.input.max_cost.nanos:
                return self._limited(route, route.price, terms, tokens, length)
            if cap is None and not _limit_known(route) and bill.charge_nanos and charged:
                cap = length
        elif charged and not terms.unknown_price_is_free:
            raise price_unknown(f"the model {self.input.model!r}")
        return Offer(route, tokens, bill, length, cap, cut_at=length if cap or charged else None)

    def shielded(self, shield: Shield) -> Self:
        return replace(self, input=shield.question(self.input), shield=shield)

    @property
    def guard(self) -> guard_pb2.Guard | None:
        return self.input.guard if self.input.HasField("guard") else None

    def limit_tokens(self, offer: Offer) -> int:
        return tokens_of(self.input, offer.input_tokens, offer.max_output_tokens)

    def errand(self, call: Call, offer: Offer) -> Ask:
        ask = Ask(
            provider=offer.route.provider,
            model=offer.route.model,
            input=unfolded(self.input),
            options=self.options(offer.route.provider),
            end_user=call.user_id,
            stream=self.streaming,
            max_output_tokens=offer.cap,
            pace=offer.route.line.pace,
        )
        if self.input.file_search:
            ask.drop("file_search", "nobody searches here: files go with the question")
        return ask

    def _limited(self, route: Route, price: Price, terms: Terms, tokens: int, length: int) -> Offer:
        """As long an answer as `max_cost` allows; where it allows none, what would be needed for one token."""
        max_nanos = self.input.max_cost.nanos
        allowed = affordable(max_nanos, length, lambda length: self._most(price, terms, tokens, length).charge_nanos)
        allowed = max(allowed, 1)
        limit = CostLimit(max_nanos, price, terms.credits_per_usd_nanos, tokens)
        bill = self._most(price, terms, tokens, allowed)
        return Offer(route, tokens, bill, allowed, allowed, cut_at=allowed, cost_limit=limit)

    def _most(self, price: Price, terms: Terms, tokens: int, length: int) -> Bill:
        answers = max(self.input.sampling.candidate_count, 1)
        units = _dear_units(self.input, tokens)
        return most(price, tokens, length * answers, terms.credits_per_usd_nanos, units)

    def _length(self, route: Route, terms: Terms) -> tuple[int, int | None]:
        """The longest answer, and the cap to tell the provider where it would not keep to that by itself."""
        if self.input.sampling.HasField("max_output_tokens"):
            return self.input.sampling.max_output_tokens, self.input.sampling.max_output_tokens
        if terms.default_max_output_tokens:
            return terms.default_max_output_tokens, terms.default_max_output_tokens
        if route.entry is not None and route.entry.max_output_tokens:
            own = route.entry.max_output_tokens
            return own, own if route.upstream.wire.needs_cap else None
        return MAX_OUTPUT_UNKNOWN, MAX_OUTPUT_UNKNOWN if route.upstream.wire.needs_cap else None


def _dear_units(input: chat_pb2.ChatInput, tokens: int) -> dict[str, int]:
    """Kinds of input that cost more than plain input, and are there only when asked for."""
    units = {}
    for message in input.messages:
        for part in message.parts:
            if part.HasField("cache_hint") and part.cache_hint.ttl_seconds >= HOUR_S:
                units["cache_write_1h"] = tokens
            if part.HasField("audio"):
                units["input_audio"] = tokens
    for tool in input.tools:
        if tool.HasField("cache_hint") and tool.cache_hint.ttl_seconds >= HOUR_S:
            units["cache_write_1h"] = tokens
    return units


def _limit_known(route: Route) -> bool:
    return route.entry is not None and route.entry.max_output_tokens > 0
