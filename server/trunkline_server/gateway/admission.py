"""Whether a call may happen, and where: finds its routes and prices, and holds the most that it can cost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import orjson

from trunkline.v1 import chat_pb2, content_pb2, usage_pb2
from trunkline_server.core import ids, money
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.call import Call
from trunkline_server.core.errors import QuotaViolation, Reason, TrunklineError, invalid
from trunkline_server.core.estimate import input_tokens
from trunkline_server.core.pricing import Bill, bill, most, price_unknown
from trunkline_server.core.rate_limit import Subject
from trunkline_server.gateway.candidates import Candidates
from trunkline_server.gateway.choice import Choice, circuit_open
from trunkline_server.gateway.limits.allowance import Allowance
from trunkline_server.gateway.limits.grant import Grant
from trunkline_server.gateway.limits.limiter import Limiter
from trunkline_server.gateway.limits.sizing import subject_of, tokens_of
from trunkline_server.gateway.routes import Route, Routes
from trunkline_server.gateway.run import Run, now
from trunkline_server.store.accounts import Account, AccountRef, Owner
from trunkline_server.store.holds import Reserved, moved
from trunkline_server.store.ledger import Ledger

MAX_OUTPUT_UNKNOWN: Final = 4096
"""Longest answer of a model whose own limit is not known; a charged caller's call is capped there."""
HOLD_S_MIN: Final = 120
HOUR_S: Final = 3600
HOLD_S_MAX: Final = 3600
HOLD_AFTER_DEADLINE_S: Final = 60
PASSED_OVER: Final = frozenset(
    (
        Reason.CREDIT_INSUFFICIENT,
        Reason.ACCOUNT_SUSPENDED,
        Reason.PRICE_UNKNOWN,
        Reason.RATE_LIMITED,
        Reason.CONCURRENCY_LIMITED,
        Reason.BUDGET_EXCEEDED,
    )
)
"""Why a candidate is not asked, and the next one may be."""


@dataclass(frozen=True, slots=True)
class AdmissionSettings:
    """`default_max_output_tokens` 0: the model's own limit."""

    credits_per_usd_nanos: int
    default_max_output_tokens: int = 0
    unknown_price_is_free: bool = False


@dataclass(frozen=True, slots=True)
class Offer:
    """What a call would use and cost at most, and the cap that keeps it so."""

    route: Route
    input_tokens: int
    max_output_tokens: int
    cap: int | None
    bill: Bill
    """The highest that it can get."""

    @property
    def most_nanos(self) -> int:
        return self.bill.charge_nanos


class Admission:
    """The first step of every call."""

    def __init__(self, candidates: Candidates, ledger: Ledger, limiter: Limiter, settings: AdmissionSettings) -> None:
        self.candidates = candidates
        self.limiter = limiter
        self._allowance = Allowance(limiter.book)
        self._ledger = ledger
        self._settings = settings

    @property
    def routes(self) -> Routes:
        return self.candidates.routes

    async def admit(self, call: Call, input: chat_pb2.ChatInput, *, streaming: bool) -> Run:
        """Hold the money and make the run. Raises what the caller did wrong, before anything is spent."""
        began = time.perf_counter()
        choice = self.candidates.of(call, input, streaming=streaming, price_of=self._most_nanos)
        completion_id = ids.new_uuid()
        account, offer, grant, hold = await self._held(call, input, choice, completion_id)
        return Run(
            completion_id=completion_id,
            call=call,
            input=input,
            route=offer.route,
            account=account,
            hold=hold,
            ask=self.ask(call, input, offer, streaming=streaming),
            input_tokens_estimate=offer.input_tokens,
            streaming=streaming,
            began=began,
            answer=Answer(streaming=streaming),
            create_time=now(),
            choice=choice,
            output_tokens_max=_cut_at(offer, account),
            grant=grant,
        )

    async def _held(
        self, call: Call, input: chat_pb2.ChatInput, choice: Choice, hold_id: UUID
    ) -> tuple[AccountRef, Offer, Grant | None, Reserved]:
        """The first candidate whose account can cover it. Raises why the first one could not."""
        refused: TrunklineError | None = None
        while (route := choice.take()) is not None:
            try:
                return await self._hold(call, input, route, hold_id)
            except TrunklineError as error:
                if error.reason not in PASSED_OVER:
                    raise
                refused = refused or error
                choice.pass_over(route, error.reason)
        raise refused or circuit_open(0.0)

    async def _hold(
        self, call: Call, input: chat_pb2.ChatInput, route: Route, hold_id: UUID
    ) -> tuple[AccountRef, Offer, Grant | None, Reserved]:
        account = await self.account(call, route)
        offer = self.offer(input, route, charged=not account.unlimited)
        _check_max_cost(input, offer)
        grant = await self._granted(call, input, offer)
        try:
            await self._allowance.hold(call, hold_id, _subject(call, input, offer), offer.bill, _hold_s(call))
            return account, offer, grant, await self._reserve(call, account, offer, hold_id)
        except BaseException:
            await self._allowance.drop(call, hold_id)
            if grant is not None:
                await self.limiter.undo(grant)
            raise

    async def _granted(
        self, call: Call, input: chat_pb2.ChatInput, offer: Offer, grant: Grant | None = None
    ) -> Grant | None:
        """Within the rate limits. Raises RATE_LIMITED, CONCURRENCY_LIMITED."""
        if not self.limiter.book.rates(call.caller.tenant_id):
            return grant
        tokens = tokens_of(input, offer.input_tokens, offer.max_output_tokens)
        return await self.limiter.take(call, _subject(call, input, offer), tokens, grant)

    async def _reserve(self, call: Call, account: AccountRef, offer: Offer, hold_id: UUID) -> Reserved:
        route = offer.route
        return await self._ledger.reserve(
            hold_id,
            account,
            offer.most_nanos,
            _hold_s(call),
            provider=route.provider,
            model=route.model,
            price_version=route.price.version if route.price else "",
        )

    async def move(self, run: Run) -> bool:
        """Go on with the next candidate whose account can cover it; False where there is none."""
        while (route := run.choice.take()) is not None:
            try:
                await self._move(run, route)
            except TrunklineError as error:
                if error.reason not in PASSED_OVER:
                    raise
                run.choice.pass_over(route, error.reason)
            else:
                return True
        return False

    async def _move(self, run: Run, route: Route) -> None:
        """Money is held for the new candidate before it is freed for the old one."""
        account = await self.account(run.call, route)
        offer = self.offer(run.input, route, charged=not account.unlimited)
        _check_max_cost(run.input, offer)
        run.grant = await self._granted(run.call, run.input, offer, run.grant)
        subject = _subject(run.call, run.input, offer)
        await self._allowance.hold(run.call, run.completion_id, subject, offer.bill, _hold_s(run.call))
        if account.id == run.account.id:
            run.hold = await self._covered(run, offer.most_nanos)
        else:
            held, run.hold = run.hold, await self._reserve(run.call, account, offer, moved(run.hold.hold_id))
            await self._ledger.release(held)
        run.route, run.account = route, account
        run.ask = self.ask(run.call, run.input, offer, streaming=run.streaming)
        run.input_tokens_estimate = offer.input_tokens
        run.output_tokens_max = _cut_at(offer, account)

    async def _covered(self, run: Run, most_nanos: int) -> Reserved:
        more_nanos = most_nanos - run.hold.amount
        return await self._ledger.extend(run.hold, more_nanos) if more_nanos > 0 else run.hold

    async def account(self, call: Call, route: Route) -> AccountRef:
        """Whose account is charged: the one that is named, the user's, else the tenant's."""
        accounts, tenant_id = self._ledger.accounts, call.caller.tenant_id
        if call.account_id:
            named = await accounts.get(tenant_id, _account_id(call.account_id))
            return AccountRef(named.id, named.tenant_id, named.unlimited, named.low_balance_nanos)
        owner = Owner.user(tenant_id, call.user_id) if call.user_id else Owner.tenant(tenant_id)
        return await accounts.account_for(owner, route.provider, route.model)

    async def extend(self, run: Run, more_nanos: int) -> Reserved:
        """Hold more for another round of the same call. Raises CREDIT_INSUFFICIENT, BUDGET_EXCEEDED."""
        subject = subject_of(run.call, run.route.provider, run.route.model, run.input.labels)
        most = self._bill(run.hold.amount + more_nanos)
        await self._allowance.hold(run.call, run.completion_id, subject, most, _hold_s(run.call))
        return await self._ledger.extend(run.hold, more_nanos)

    def offer(self, input: chat_pb2.ChatInput, route: Route, *, charged: bool) -> Offer:
        """The most that a call can cost. Raises PRICE_UNKNOWN for a charged caller."""
        tokens = input_tokens(input)
        length, cap = self._length(input, route)
        if route.price is None:
            if charged and not self._settings.unknown_price_is_free:
                raise price_unknown(f"the model {input.model!r}")
            return Offer(route, tokens, length, cap, Bill(0, 0, ""))
        answers = max(input.sampling.candidate_count, 1)
        rate_nanos = self._settings.credits_per_usd_nanos
        price = most(route.price, tokens, length * answers, rate_nanos, _dear_units(input, tokens))
        if cap is None and not _limit_known(route) and price.charge_nanos and charged:
            cap = length
        return Offer(route, tokens, length, cap, price)

    async def quote(self, call: Call, input: chat_pb2.ChatInput) -> chat_pb2.QuoteResponse:
        """What a call would cost, and whether it would be admitted. Holds nothing."""
        route = self.candidates.first(call, input)
        ref = await self.account(call, route)
        offer = self.offer(input, route, charged=not ref.unlimited)
        account = await self._ledger.accounts.get(ref.tenant_id, ref.id)
        denial = _denial(input, offer, account)
        return chat_pb2.QuoteResponse(
            input_tokens=offer.input_tokens,
            max_output_tokens=offer.max_output_tokens,
            least=money.credits(self._least_nanos(offer)),
            most=money.credits(offer.most_nanos),
            allowed=not denial,
            denial_reason=denial,
            available=None if account.unlimited else money.credits(account.available_nanos),
            price_version=route.price.version if route.price else "",
        )

    def _bill(self, charge_nanos: int) -> Bill:
        """What costs the provider's client so much."""
        cost_nano_usd = money.ceil_div(charge_nanos * money.NANOS, max(self._settings.credits_per_usd_nanos, 1))
        return Bill(min(cost_nano_usd, money.INT64_MAX), charge_nanos, "")

    def _most_nanos(self, input: chat_pb2.ChatInput, route: Route) -> int | None:
        """What a call may cost there; None where that is not known."""
        try:
            return self.offer(input, route, charged=True).most_nanos if route.price else None
        except TrunklineError:
            return None

    def _least_nanos(self, offer: Offer) -> int:
        if offer.route.price is None:
            return 0
        usage = usage_pb2.Usage(input_tokens=offer.input_tokens, output_tokens=1)
        return bill(offer.route.price, usage, self._settings.credits_per_usd_nanos).charge_nanos

    def ask(self, call: Call, input: chat_pb2.ChatInput, offer: Offer, *, streaming: bool) -> Ask:
        """The question for the provider."""
        return Ask(
            provider=offer.route.provider,
            model=offer.route.model,
            input=input,
            stream=streaming,
            max_output_tokens=offer.cap,
            options=_options(input.provider_options_json, offer.route.provider),
            end_user=call.user_id,
        )

    def _length(self, input: chat_pb2.ChatInput, route: Route) -> tuple[int, int | None]:
        """The longest answer, and the cap to tell the provider where it would not keep to that by itself."""
        if input.sampling.HasField("max_output_tokens"):
            return input.sampling.max_output_tokens, input.sampling.max_output_tokens
        if self._settings.default_max_output_tokens:
            return self._settings.default_max_output_tokens, self._settings.default_max_output_tokens
        if route.entry is not None and route.entry.max_output_tokens:
            own = route.entry.max_output_tokens
            return own, own if route.upstream.wire.needs_cap else None
        return MAX_OUTPUT_UNKNOWN, MAX_OUTPUT_UNKNOWN if route.upstream.wire.needs_cap else None


def _dear_units(input: chat_pb2.ChatInput, tokens: int) -> dict[str, int]:
    """Kinds of input that cost more than plain input, and are there only when asked for."""
    parts = [part for message in input.messages for part in message.parts]
    units = {}
    if any(map(_wants_hour, parts)) or any(map(_wants_hour, input.tools)):
        units["cache_write_1h"] = tokens
    if any(part.HasField("audio") for part in parts):
        units["input_audio"] = tokens
    return units


def _wants_hour(hinted: content_pb2.Part | content_pb2.Tool) -> bool:
    return hinted.HasField("cache_hint") and hinted.cache_hint.ttl_seconds >= HOUR_S


def _subject(call: Call, input: chat_pb2.ChatInput, offer: Offer) -> Subject:
    return subject_of(call, offer.route.provider, offer.route.model, input.labels)


def _cut_at(offer: Offer, account: AccountRef) -> int | None:
    return offer.max_output_tokens if offer.cap or not account.unlimited else None


def _limit_known(route: Route) -> bool:
    return route.entry is not None and route.entry.max_output_tokens > 0


def _hold_s(call: Call) -> int:
    remaining_s = call.deadline - asyncio.get_running_loop().time()
    return int(min(max(remaining_s + HOLD_AFTER_DEADLINE_S, HOLD_S_MIN), HOLD_S_MAX))


def _account_id(text: str) -> UUID:
    account_id = ids.parse("acct", text)
    if account_id is None:
        raise invalid("x-trunkline-account", "is no account id")
    return account_id


def _options(given: Mapping[str, str], provider: str) -> Mapping[str, object]:
    options: Mapping[str, object] = orjson.loads(given[provider]) if provider in given else {}
    return options


def _denial(input: chat_pb2.ChatInput, offer: Offer, account: Account) -> str:
    if account.suspended:
        return Reason.ACCOUNT_SUSPENDED.value
    too_dear = input.HasField("max_cost") and offer.most_nanos > input.max_cost.nanos
    if too_dear or not (account.unlimited or offer.most_nanos <= account.available_nanos):
        return Reason.CREDIT_INSUFFICIENT.value
    return ""


def _check_max_cost(input: chat_pb2.ChatInput, offer: Offer) -> None:
    if input.HasField("max_cost") and offer.most_nanos > input.max_cost.nanos:
        needed, allowed = money.to_decimal_text(offer.most_nanos), money.to_decimal_text(input.max_cost.nanos)
        raise TrunklineError(
            Reason.CREDIT_INSUFFICIENT,
            f"the call may cost {needed} credits, more than its max_cost {allowed}",
            quota=(QuotaViolation("max_cost", f"needed {needed}, available {allowed}"),),
        )
