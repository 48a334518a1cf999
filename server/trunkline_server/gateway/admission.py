"""Whether a call may happen, and where: finds its routes and prices, and holds the most that it can cost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, Final, TypeVar
from uuid import UUID

from trunkline_server.core import ids, money
from trunkline_server.core.call import Call
from trunkline_server.core.errand import Input
from trunkline_server.core.errors import QuotaViolation, Reason, TrunklineError, invalid
from trunkline_server.core.pricing import Bill
from trunkline_server.core.rate_limit import Subject
from trunkline_server.gateway.candidates import Candidates
from trunkline_server.gateway.choice import Choice, circuit_open
from trunkline_server.gateway.limits.allowance import Allowance
from trunkline_server.gateway.limits.grant import Grant
from trunkline_server.gateway.limits.limiter import Limiter
from trunkline_server.gateway.limits.sizing import subject_of
from trunkline_server.gateway.quotes import Quotes
from trunkline_server.gateway.routes import Route, Routes
from trunkline_server.gateway.run import Run, now
from trunkline_server.gateway.terms import Offer, Terms
from trunkline_server.gateway.work import Work
from trunkline_server.store.accounts import AccountRef, Owner
from trunkline_server.store.holds import Reserved, moved
from trunkline_server.store.ledger import Ledger

RunT = TypeVar("RunT", bound=Run[Any])

HOLD_S_MIN: Final = 120
HOLD_S_MAX: Final = 3600
HOLD_AFTER_DEADLINE_S: Final = 60
UNABLE: Final = frozenset((Reason.CAPABILITY_UNSUPPORTED, Reason.PARAMETER_UNSUPPORTED))
PASSED_OVER: Final = UNABLE | {
    Reason.CREDIT_INSUFFICIENT,
    Reason.ACCOUNT_SUSPENDED,
    Reason.PRICE_UNKNOWN,
    Reason.RATE_LIMITED,
    Reason.CONCURRENCY_LIMITED,
    Reason.BUDGET_EXCEEDED,
}
"""Why a candidate is not asked, and the next one may be."""


class Admission:
    """The first step of every call."""

    def __init__(self, candidates: Candidates, ledger: Ledger, limiter: Limiter, terms: Terms) -> None:
        self.candidates = candidates
        self.limiter = limiter
        self._allowance = Allowance(limiter.book)
        self._ledger = ledger
        self._terms = terms
        self.quotes = Quotes(self, ledger.accounts, terms)

    @property
    def routes(self) -> Routes:
        return self.candidates.routes

    async def admit(self, call: Call, work: Work[Any, RunT]) -> RunT:
        """Hold the money and make the run. Raises what the caller did wrong, before anything is spent."""
        began = time.perf_counter()
        choice = self.candidates.of(call, work, price_of=self._most_nanos)
        completion_id = ids.new_uuid()
        account, offer, grant, hold = await self._held(call, work, choice, completion_id)
        return work.run_type(
            completion_id=completion_id,
            call=call,
            work=work,
            route=offer.route,
            account=account,
            hold=hold,
            errand=work.errand(call, offer),
            offer=offer,
            began=began,
            create_time=now(),
            choice=choice,
            grant=grant,
        )

    async def _held(
        self, call: Call, work: Work[Any, Any], choice: Choice, hold_id: UUID
    ) -> tuple[AccountRef, Offer, Grant | None, Reserved]:
        """The first candidate that can do it and whose account can cover it. Raises why the first one could not."""
        refused: TrunklineError | None = None
        while (route := choice.take()) is not None:
            try:
                return await self._hold(call, work, route, hold_id)
            except TrunklineError as error:
                if error.reason not in PASSED_OVER:
                    raise
                refused = refused or error
                choice.pass_over(route, error.reason)
        raise self.naming_others(call, work, refused) if refused else circuit_open(0.0)

    async def _hold(
        self, call: Call, work: Work[Any, Any], route: Route, hold_id: UUID
    ) -> tuple[AccountRef, Offer, Grant | None, Reserved]:
        account = await self.account(call, route)
        offer = self.offer(work, route, charged=not account.unlimited)
        _check_max_cost(work.input, offer)
        grant = await self._granted(call, work, offer)
        try:
            await self.allow(call, work, offer, hold_id)
            return account, offer, grant, await self._reserve(call, account, offer, hold_id)
        except BaseException:
            await self._allowance.drop(call, hold_id)
            if grant is not None:
                await self.limiter.undo(grant)
            raise

    async def _granted(
        self, call: Call, work: Work[Any, Any], offer: Offer, grant: Grant | None = None
    ) -> Grant | None:
        """Within the rate limits. Raises RATE_LIMITED, CONCURRENCY_LIMITED."""
        if not self.limiter.book.rates(call.caller.tenant_id):
            return grant
        return await self.limiter.take(call, _subject(call, work, offer.route), work.limit_tokens(offer), grant)

    async def allow(
        self, call: Call, work: Work[Any, Any], offer: Offer, hold_id: UUID, hold_s: int | None = None
    ) -> None:
        """Within the hard budgets. Raises BUDGET_EXCEEDED."""
        if self._allowance.binds(call):
            subject = _subject(call, work, offer.route)
            await self.allow_bill(call, subject, offer.bill, hold_id, hold_s or _hold_s(call))

    async def allow_bill(self, call: Call, subject: Subject, most: Bill, hold_id: UUID, hold_s: int) -> None:
        """The same, of what may cost so much. Raises BUDGET_EXCEEDED."""
        await self._allowance.hold(call, hold_id, subject, most, hold_s)

    async def disallow(self, call: Call, hold_id: UUID) -> None:
        """What was allowed does not happen."""
        await self._allowance.drop(call, hold_id)

    def _reserve(self, call: Call, account: AccountRef, offer: Offer, hold_id: UUID) -> Coroutine[Any, Any, Reserved]:
        route = offer.route
        return self._ledger.reserve(
            hold_id,
            account,
            offer.most_nanos,
            _hold_s(call),
            provider=route.provider,
            model=route.model,
            price_version=route.price.version if route.price else "",
        )

    async def move(self, run: Run[Any]) -> bool:
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

    async def _move(self, run: Run[Any], route: Route) -> None:
        """Money is held for the new candidate before it is freed for the old one."""
        account = await self.account(run.call, route)
        offer = self.offer(run.work, route, charged=not account.unlimited)
        _check_max_cost(run.input, offer)
        run.grant = await self._granted(run.call, run.work, offer, run.grant)
        await self.allow(run.call, run.work, offer, run.completion_id)
        if account.id == run.account.id:
            run.hold = await self._covered(run, offer.most_nanos)
        else:
            held, run.hold = run.hold, await self._reserve(run.call, account, offer, moved(run.hold.hold_id))
            await self._ledger.release(held)
        run.account = account
        run.move(offer)

    async def also(self, run: Run[Any], route: Route) -> Offer | None:
        """What a second attempt beside a run would cost there, covered by the run's own account; None if it is not."""
        try:
            account = await self.account(run.call, route)
            offer = self.offer(run.work, route, charged=not account.unlimited)
            _check_max_cost(run.input, offer)
            if account.id == run.account.id:
                await self._allow_up_to(run, max(run.hold.amount, offer.most_nanos))
                run.hold = await self._covered(run, offer.most_nanos)
                return offer
        except TrunklineError:
            pass
        return None

    async def _covered(self, run: Run[Any], most_nanos: int) -> Reserved:
        more_nanos = most_nanos - run.hold.amount
        return await self._ledger.extend(run.hold, more_nanos) if more_nanos > 0 else run.hold

    def account(self, call: Call, route: Route) -> Coroutine[Any, Any, AccountRef]:
        """Whose account is charged: the one that is named, the user's, else the tenant's."""
        return self.account_at(call, route.provider, route.model)

    async def account_at(self, call: Call, provider: str, model: str) -> AccountRef:
        """The same, where there is no route."""
        accounts, tenant_id = self._ledger.accounts, call.caller.tenant_id
        if call.account_id:
            named = await accounts.get(tenant_id, _account_id(call.account_id))
            return AccountRef(named.id, named.tenant_id, named.unlimited, named.low_balance_nanos)
        owner = Owner.user(tenant_id, call.user_id) if call.user_id else Owner.tenant(tenant_id)
        return await accounts.account_for(owner, provider, model)

    async def extend(self, run: Run[Any], more_nanos: int) -> Reserved:
        """Hold more for another round of the same call. Raises CREDIT_INSUFFICIENT, BUDGET_EXCEEDED."""
        await self._allow_up_to(run, run.hold.amount + more_nanos)
        return await self._ledger.extend(run.hold, more_nanos)

    async def _allow_up_to(self, run: Run[Any], nanos: int) -> None:
        subject = _subject(run.call, run.work, run.route)
        await self._allowance.hold(run.call, run.completion_id, subject, self._bill(nanos), _hold_s(run.call))

    async def lend(self, call: Call, hold_id: UUID, nanos: int, hold_s: int) -> None:
        """What a kept answer costs, within the budget of the caller's token. Raises BUDGET_EXCEEDED."""
        await self._allowance.lend(call, hold_id, nanos, hold_s)

    def offer(self, work: Work[Any, Any], route: Route, *, charged: bool) -> Offer:
        """The most that work can cost at a candidate. Raises PRICE_UNKNOWN for a charged caller."""
        return work.offer(route, self._terms, charged=charged)

    def naming_others(self, call: Call, work: Work[Any, Any], error: TrunklineError) -> TrunklineError:
        """The refusal of a provider that cannot do the work, with those that can."""
        if error.reason is Reason.CAPABILITY_UNSUPPORTED:
            able = self.candidates.able(call.caller, work)
            error.metadata = {**error.metadata, "providers": ",".join(able)}
        return error

    def _bill(self, charge_nanos: int) -> Bill:
        """What costs the provider's client so much."""
        cost_nano_usd = money.ceil_div(charge_nanos * money.NANOS, max(self._terms.credits_per_usd_nanos, 1))
        return Bill(min(cost_nano_usd, money.INT64_MAX), charge_nanos, "")

    def _most_nanos(self, work: Work[Any, Any], route: Route) -> int | None:
        """What work may cost there; None where that is not known."""
        try:
            return self.offer(work, route, charged=True).most_nanos if route.price else None
        except TrunklineError:
            return None


def _subject(call: Call, work: Work[Any, Any], route: Route) -> Subject:
    return subject_of(call, route.provider, route.model, work.input.labels)


def _hold_s(call: Call) -> int:
    remaining_s = call.deadline - asyncio.get_running_loop().time()
    return int(min(max(remaining_s + HOLD_AFTER_DEADLINE_S, HOLD_S_MIN), HOLD_S_MAX))


def _account_id(text: str) -> UUID:
    account_id = ids.parse("acct", text)
    if account_id is None:
        raise invalid("x-trunkline-account", "is no account id")
    return account_id


def _check_max_cost(input: Input, offer: Offer) -> None:
    if input.HasField("max_cost") and offer.most_nanos > input.max_cost.nanos:
        needed, allowed = money.to_decimal_text(offer.most_nanos), money.to_decimal_text(input.max_cost.nanos)
        raise TrunklineError(
            Reason.CREDIT_INSUFFICIENT,
            f"the call may cost {needed} credits, more than its max_cost {allowed}",
            quota=(QuotaViolation("max_cost", f"needed {needed}, available {allowed}"),),
        )
