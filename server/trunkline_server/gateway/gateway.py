"""The hall that every AI call passes: admit, attempt, check, settle.

    admit ──▶ attempt ──(failed, nothing told yet: elsewhere, or again)──▶ attempt ... ──▶ check the output ──▶ settle
                  └──────────── failed for good, cancelled, out of time ───────────────────────────────────────▶ settle

`settle` happens exactly once for every call that was admitted, whatever else happens to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any, Final, TypeVar

from trunkline.v1 import chat_pb2
from trunkline_server.core.call import Call
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.failure import Failover, UpstreamFailure
from trunkline_server.core.pace import SHORT_S
from trunkline_server.gateway import refusals
from trunkline_server.gateway.admission import UNABLE, Admission
from trunkline_server.gateway.attempts import ATTEMPT_S_MIN, Plan, worth_waiting
from trunkline_server.gateway.budgets import TenantBudgets
from trunkline_server.gateway.chat_run import ChatRun
from trunkline_server.gateway.chat_work import ChatWork
from trunkline_server.gateway.guards.guards import Guards
from trunkline_server.gateway.hedge import Spare, hedged
from trunkline_server.gateway.journal import UNWRITTEN, Journal
from trunkline_server.gateway.line import Visit
from trunkline_server.gateway.live import LiveCall, LiveCalls
from trunkline_server.gateway.patience import SETTLE_RESERVE_S, Limits, Patience
from trunkline_server.gateway.run import Run, StreamedRun
from trunkline_server.gateway.settlement import Settlement
from trunkline_server.gateway.shares import share_s
from trunkline_server.gateway.work import Work

RunT = TypeVar("RunT", bound=Run[Any])
EventT = TypeVar("EventT")
WorkT = TypeVar("WorkT", bound=Work[Any, Any])

COMPLETION_TRAILER: Final = "x-trunkline-completion-id"
PLACE_WAIT_S: Final = 0.25
"""How long to wait for a place at a provider that is full."""
LEAVE_S: Final = 10.0
"""How long calls that were cancelled may take to leave."""


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """How patient and how stubborn calls are."""

    attempts_max: int
    first_token_timeout_s: float
    idle_timeout_s: float
    hedging: bool = False


class Gateway:
    """Makes AI calls for services, jobs and whoever else may."""

    def __init__(
        self, admission: Admission, settlement: Settlement, live: LiveCalls, settings: GatewaySettings, guards: Guards
    ) -> None:
        self.admission = admission
        self.guards = guards
        self.live = live
        self.settlement = settlement
        self._settings = settings
        self._tenant_budgets = TenantBudgets()

    async def complete(self, call: Call, input: chat_pb2.ChatInput, journal: Journal = UNWRITTEN) -> ChatRun:
        """The answer to a question in one piece, in a run that has ended."""
        async with self._run(call, await self.guarded(call, ChatWork(input, journal=journal))) as run:
            await self._answer(run)
            if run.output.faults(run.answer):
                await self._repair(run)
            if run.gate is not None:
                await run.look_through(self)
        return run

    async def perform(self, call: Call, work: Work[Any, RunT]) -> RunT:
        """Any other work in one piece, in a run that has ended."""
        async with self._run(call, await self.guarded(call, work)) as run:
            await self._answer(run)
            await run.look_through(self)
        return run

    async def guarded(self, call: Call, work: WorkT) -> WorkT:
        """The work as a provider may see it. Raises CONTENT_BLOCKED, PII_DETECTED."""
        armed = self.guards.of(call, work)
        return work if armed is None else await self.guards.shielded(self, call, armed, work)

    async def stream(self, call: Call, work: Work[Any, StreamedRun[Any, EventT]]) -> AsyncGenerator[EventT, None]:
        """The answer as it comes in."""
        async with self._run(call, await self.guarded(call, work)) as run:
            call.on_silence = run.heartbeat
            async with aclosing(self._reads(run)) as reads:
                async for _ in reads:
                    if run.is_judged:
                        await run.hear(self)
                    for event in run.events():
                        yield event
            if run.is_judged:
                await run.hear(self, last=True)
            for event in run.last_events():
                yield event
            run.check()
        call.is_billed = True
        yield run.completed()

    async def drained(self) -> None:
        """Every call has ended and told its bill. For after the door is shut, which cancels what still runs."""
        await self.live.ended(LEAVE_S)
        await self.settlement.drains.ended()

    @asynccontextmanager
    async def _run(self, call: Call, work: Work[Any, RunT]) -> AsyncIterator[RunT]:
        """A call from admission to settlement."""
        run = await self.admission.admit(call, work)
        call.trailers[COMPLETION_TRAILER] = told = run.spelled_id
        call.facts |= {"completion": told, "provider": run.route.provider, "model": run.route.model}
        with self.live.entered(call.caller.tenant_id, run.completion_id) as live:
            try:
                yield run
            except (TrunklineError, UpstreamFailure) as error:
                raise await self._failed(run, error) from error
            except BaseException as error:
                await self._broken_off(run, live, error)
                raise
            else:
                await self.settlement.settle(run, run.outcome_of())
            finally:
                if run.grant is not None:
                    await self.admission.limiter.settle(run.grant, run.usage.input_tokens + run.usage.output_tokens)
        call.facts |= {"charge": run.bill.charge_nanos, "attempts": run.asked}

    async def _failed(self, run: Run[Any], error: TrunklineError | UpstreamFailure) -> TrunklineError:
        """Settle, then say what went wrong and what it cost."""
        reason = error.reason.value if isinstance(error, TrunklineError) else error.kind.value
        await self.settlement.settle(run, chat_pb2.OUTCOME_FAILED, reason)
        if isinstance(error, UpstreamFailure):
            return refusals.told(
                error,
                run.failures,
                run.input.model,
                begun=run.begun,
                own_key=run.route.own_key,
                partial=run.partial(),
            )
        error.partial = run.partial()
        return error

    async def _broken_off(self, run: Run[Any], live: LiveCall, error: BaseException) -> None:
        """Cancelled, by the caller, by CancelCompletion or by its deadline; or a fault of ours."""
        cancelled = isinstance(error, asyncio.CancelledError | GeneratorExit)
        outcome = chat_pb2.OUTCOME_CANCELLED if cancelled else chat_pb2.OUTCOME_FAILED
        reason = live.stopped or (Reason.CANCELLED if cancelled else Reason.INTERNAL)
        await self.settlement.settle(run, outcome, reason.value)
        if cancelled and live.stopped is not None:
            live.task.uncancel()
            raise refusals.stopped(live.stopped, run.partial()) from None

    async def _answer(self, run: Run[Any]) -> None:
        """Ask until there is a whole answer. Raises the last failure."""
        plan = self._plan(run)
        while True:
            visit = await self._begin(run, plan)
            try:
                with visit, Patience(self._limits(run, plan), run.call.deadline):
                    await self._attempt(run, plan, visit)
            except UpstreamFailure as failure:
                await self._after(run, plan, failure, visit.began)
            except TrunklineError as error:
                await self._unable(run, plan, error)
            else:
                plan.restore()
                run.answered(visit.began)
                return

    def _attempt(self, run: Run[Any], plan: Plan, visit: Visit) -> Coroutine[Any, Any, None]:
        """One attempt; where that was asked for, with another beside it when it takes unusually long."""
        after_s = run.route.line.latency.usual_s() if self._may_hedge(run) else None
        return run.attempt() if after_s is None else hedged(run, visit, after_s, partial(self._spare, run, plan))

    def _may_hedge(self, run: Run[Any]) -> bool:
        return self._settings.hedging and run.input.routing.hedge and run.may_hedge

    async def _spare(self, run: Run[Any], plan: Plan) -> Spare | None:
        """A second attempt at the next candidate that can be let in now, on the same account."""
        route = run.choice.take() if run.choice.has_more and plan.may_hedge() else None
        offer = await self.admission.also(run, route) if route else None
        if offer is None or not offer.route.line.trunk.bulkhead.take():
            return None
        spare = run.beside(offer)
        visit = self._entered(spare)
        return Spare(spare, visit) if visit else None

    async def _reads(self, run: Run[Any]) -> AsyncGenerator[None, None]:
        """Ask until there is an answer; yields after each read. Raises the last failure."""
        plan = self._plan(run)
        while True:
            visit = await self._begin(run, plan)
            try:
                with visit, Patience(self._limits(run, plan), run.call.deadline) as patience:
                    async with aclosing(run.reads()) as reads:
                        async for _ in reads:
                            patience.heard()
                            visit.heard()
                            yield
                            if run.is_past_cap:
                                break
            except UpstreamFailure as failure:
                await self._after(run, plan, failure, visit.began)
            except TrunklineError as error:
                await self._unable(run, plan, error)
            else:
                plan.restore()
                run.answered(visit.began)
                return

    async def _begin(self, run: Run[Any], plan: Plan) -> Visit:
        """An attempt begins, where there is time for an answer and its bill."""
        if run.call.deadline - asyncio.get_running_loop().time() < SETTLE_RESERVE_S + ATTEMPT_S_MIN:
            raise TrunklineError(Reason.DEADLINE, "no time is left to ask", metadata={"stage": "provider"})
        if pause_s := run.route.line.pace.pause_s(run.offer.input_tokens):
            await self._keep_pace(run, plan, pause_s)
        visit = self._entered(run) if run.route.line.trunk.bulkhead.take() else None
        while visit is None:
            visit = await self._entered_late(run, plan)
        plan.made += 1
        run.in_flight = True
        return visit

    async def _keep_pace(self, run: Run[Any], plan: Plan, pause_s: float) -> None:
        """The provider has said that it would refuse: go elsewhere, wait where that is short, else ask all the same."""
        full = run.route
        if pause_s > SHORT_S and await self._moved(run, plan):
            run.choice.pass_over(full, Reason.RATE_LIMITED)
        elif worth_waiting(pause_s, run.call.deadline - asyncio.get_running_loop().time()):
            await asyncio.sleep(pause_s)

    def _entered(self, run: Run[Any]) -> Visit | None:
        """Through the breakers, with a place in hand, which is given back where they are shut."""
        visit = run.route.line.enter(streaming=run.streaming, way=run.choice.way, timed=not run.in_own_time)
        if visit is None:
            run.route.line.trunk.bulkhead.leave()
        return visit

    async def _entered_late(self, run: Run[Any], plan: Plan) -> Visit | None:
        """The provider is full, or its breaker has just been shut: wait for a place, or go elsewhere."""
        line = run.route.line
        if line.may_pass(run.choice.way) and await line.trunk.bulkhead.wait(PLACE_WAIT_S):
            return self._entered(run)
        reason = Reason.OVERLOADED if line.may_pass() else Reason.CIRCUIT_OPEN
        if not run.failures:
            run.choice.pass_over(run.route, reason)
        if await self._moved(run, plan):
            return self._entered(run) if run.route.line.trunk.bulkhead.take() else None
        raise refusals.no_way_in(reason, line.due_in_s, run.failures, run.partial())

    async def _after(self, run: Run[Any], plan: Plan, late: UpstreamFailure, began: float) -> None:
        """An attempt failed: go elsewhere, or wait until the same provider may be asked again, or raise."""
        await run.let_go()
        failure = late if run.begun else late.before_content()
        run.failed(failure, began)
        if not run.may_repeat:
            raise failure from late.__cause__
        remaining_s = run.call.deadline - asyncio.get_running_loop().time()
        if not await self._elsewhere(run, plan, failure, remaining_s):
            pause_s = plan.pause_s(failure, remaining_s, run.route.line.latency.typical_s(streaming=run.streaming))
            if pause_s is None:
                raise plan.final(failure) from late.__cause__
            await asyncio.sleep(pause_s)
        run.start_over()
        run.reported_counts = False

    async def _elsewhere(self, run: Run[Any], plan: Plan, failure: UpstreamFailure, remaining_s: float) -> bool:
        """Whether the call goes on at another provider."""
        if failure.rule.failover is Failover.LARGER_WINDOW:
            run.choice.want_larger(run.route)
        run.choice.want_within(remaining_s, streaming=run.streaming)
        may_move = run.choice.has_more and plan.may_move(failure, remaining_s, own_key=run.route.own_key)
        if not (may_move and plan.spend()):
            return False
        if await self._moved(run, plan):
            return True
        plan.restore()
        return False

    async def _moved(self, run: Run[Any], plan: Plan) -> bool:
        """Whether there is another candidate for what is not bound to the one that it is with."""
        if run.is_bound or not await self.admission.move(run):
            return False
        run.call.facts |= {"provider": run.route.provider, "model": run.route.model}
        plan.moved(run.route.line.trunk.budget)
        return True

    async def _unable(self, run: Run[Any], plan: Plan, error: TrunklineError) -> None:
        """The work cannot be spelled for this provider: another may take it. Raises what is told to the caller."""
        if error.reason is Reason.DEADLINE:
            raise error
        run.in_flight = False
        if error.reason not in UNABLE:
            raise error
        plan.made -= 1
        run.choice.pass_over(run.route, error.reason)
        if await self._moved(run, plan):
            return
        if run.failures:
            raise refusals.exhausted(run.failures, run.partial()) from error
        raise self.admission.naming_others(run.call, run.work, error)

    async def _repair(self, run: ChatRun) -> None:
        """Tell the model what is wrong with its answer, once, and take the better one or none."""
        used, _ = run.measured()
        question = ChatWork(run.output.repair(run.input, run.answer))
        offer = self.admission.offer(question, run.route, charged=not run.account.unlimited)
        run.hold = await self.admission.extend(run, offer.most_nanos)
        warnings = run.errand.warnings
        run.errand = question.errand(run.call, offer)
        run.errand.warnings = warnings
        run.offer = offer
        run.rounds.append(used)
        run.start_over()
        await self._answer(run)
        run.check()
        run.errand.warn(chat_pb2.WARNING_CODE_OUTPUT_REPAIRED, "", "the first answer did not meet the output format")

    def _plan(self, run: Run[Any]) -> Plan:
        budget, tenant_budget = run.route.line.trunk.budget, self._tenant_budgets.of(run.call.caller.tenant_id)
        budget.earn()
        tenant_budget.earn()
        routing = run.input.routing
        attempts_max = routing.max_attempts if routing.HasField("max_attempts") else self._settings.attempts_max
        return Plan(attempts_max, budget, tenant_budget, is_idempotent=run.is_idempotent)

    def _limits(self, run: Run[Any], plan: Plan) -> Limits:
        """`plan` has counted the attempt already. A whole answer is one read, which comes when the model is done."""
        routing = run.input.routing
        told = routing.attempt_timeout
        attempt_s = told.seconds + told.nanos / 1e9 if routing.HasField("attempt_timeout") else None
        first_s = self._settings.first_token_timeout_s if run.streaming and not run.in_own_time else inf
        may_cut = run.choice.has_more and plan.may_go_on and run.may_be_cut and not self._may_hedge(run)
        upcoming = run.choice.upcoming if may_cut else None
        if upcoming is not None:
            remaining_s = run.call.deadline - asyncio.get_running_loop().time()
            typical_s = upcoming.line.latency.typical_s(streaming=run.streaming)
            first_s = min(first_s, share_s(remaining_s, typical_s, streaming=run.streaming))
        return Limits(first_s, self._settings.idle_timeout_s, attempt_s)
