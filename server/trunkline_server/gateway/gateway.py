"""The hall that every AI call passes: admit, attempt, check, settle.

    admit ──▶ attempt ──(failed, nothing told yet: elsewhere, or again)──▶ attempt ... ──▶ check the output ──▶ settle
                  └──────────── failed for good, cancelled, out of time ───────────────────────────────────────▶ settle

`settle` happens exactly once for every call that was admitted, whatever else happens to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from trunkline.v1 import chat_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.call import Call
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.failure import Failover, UpstreamFailure
from trunkline_server.gateway import refusals
from trunkline_server.gateway.admission import Admission
from trunkline_server.gateway.attempts import ATTEMPT_S_MIN, Budgets, Plan
from trunkline_server.gateway.lines import Visit
from trunkline_server.gateway.live import LiveCall, LiveCalls
from trunkline_server.gateway.output import Output
from trunkline_server.gateway.patience import SETTLE_RESERVE_S, Limits, Patience
from trunkline_server.gateway.run import Run, outcome_of
from trunkline_server.gateway.settlement import Settlement, measure

UNABLE: Final = frozenset((Reason.CAPABILITY_UNSUPPORTED, Reason.PARAMETER_UNSUPPORTED))
COMPLETION_TRAILER: Final = "x-trunkline-completion-id"
PLACE_WAIT_S: Final = 0.25
"""How long to wait for a place at a provider that is full."""
FIRST_WORD_SHARE: Final = 0.5
"""What a stream's first word may take of the time that is left, while there are other providers to ask."""
LEAVE_S: Final = 10.0
"""How long calls that were cancelled may take to leave."""


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """How patient and how stubborn calls are."""

    attempts_max: int
    first_token_timeout_s: float
    idle_timeout_s: float


class Gateway:
    """Makes AI calls for services, jobs and whoever else may."""

    def __init__(
        self, admission: Admission, settlement: Settlement, live: LiveCalls, settings: GatewaySettings
    ) -> None:
        self.admission = admission
        self.live = live
        self._settlement = settlement
        self._settings = settings
        self._budgets = Budgets()

    async def complete(self, call: Call, input: chat_pb2.ChatInput) -> Run:
        """The answer in one piece, in a run that has ended."""
        output = Output(input)
        async with self._run(call, input, streaming=False) as run:
            await self._answer(run)
            if output.faults(run.answer):
                await self._repair(run, output)
        return run

    async def stream(self, call: Call, input: chat_pb2.ChatInput) -> AsyncGenerator[chat_pb2.ChatEvent, None]:
        """The answer as it comes in."""
        output = Output(input)
        async with self._run(call, input, streaming=True) as run:
            call.on_silence = partial(_heartbeat, run)
            async with aclosing(self._reads(run)) as reads:
                async for _ in reads:
                    for event in run.events():
                        yield event
            for event in run.last_events():
                yield event
            output.require(run.answer)
        call.is_billed = True
        yield run.completed()

    async def drained(self) -> None:
        """Every call has ended and told its bill. For after the door is shut, which cancels what still runs."""
        await self.live.ended(LEAVE_S)

    @asynccontextmanager
    async def _run(self, call: Call, input: chat_pb2.ChatInput, *, streaming: bool) -> AsyncIterator[Run]:
        """A call from admission to settlement."""
        run = await self.admission.admit(call, input, streaming=streaming)
        call.trailers[COMPLETION_TRAILER] = run.spelled_id
        call.facts |= {"completion": run.spelled_id, "provider": run.route.provider, "model": run.route.model}
        with self.live.entered(call.caller.tenant_id, run.completion_id) as live:
            try:
                yield run
            except (TrunklineError, UpstreamFailure) as error:
                raise await self._failed(run, error) from error
            except BaseException as error:
                await self._broken_off(run, live, error)
                raise
            else:
                await self._settlement.settle(run, outcome_of(run.answer))
            finally:
                if run.grant is not None:
                    await self.admission.limiter.settle(run.grant, run.usage.input_tokens + run.usage.output_tokens)
        call.facts |= {"charge": run.bill.charge_nanos, "attempts": run.asked}

    async def _failed(self, run: Run, error: TrunklineError | UpstreamFailure) -> TrunklineError:
        """Settle, then say what went wrong and what it cost."""
        reason = error.reason.value if isinstance(error, TrunklineError) else error.kind.value
        await self._settlement.settle(run, chat_pb2.OUTCOME_FAILED, reason)
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

    async def _broken_off(self, run: Run, live: LiveCall, error: BaseException) -> None:
        """Cancelled, by the caller, by CancelCompletion or by its deadline; or a fault of ours."""
        cancelled = isinstance(error, asyncio.CancelledError | GeneratorExit)
        outcome = chat_pb2.OUTCOME_CANCELLED if cancelled else chat_pb2.OUTCOME_FAILED
        reason = live.stopped or (Reason.CANCELLED if cancelled else Reason.INTERNAL)
        await self._settlement.settle(run, outcome, reason.value)
        if cancelled and live.stopped is not None:
            live.task.uncancel()
            raise refusals.stopped(live.stopped, run.partial()) from None

    async def _answer(self, run: Run) -> None:
        """Ask until there is a whole answer. Raises the last failure."""
        plan = self._plan(run)
        while True:
            visit = await self._begin(run, plan)
            try:
                with visit, Patience(self._limits(run), run.call.deadline):
                    await run.route.upstream.answer(run.ask, run.answer)
            except UpstreamFailure as failure:
                await self._after(run, plan, failure, visit.began)
            except TrunklineError as error:
                await self._unable(run, plan, error)
            else:
                run.answered(visit.began)
                return

    async def _reads(self, run: Run) -> AsyncGenerator[None, None]:
        """Ask until there is an answer; yields after each read. Raises the last failure."""
        plan = self._plan(run)
        while True:
            visit = await self._begin(run, plan)
            try:
                with visit, Patience(self._limits(run), run.call.deadline) as patience:
                    async with aclosing(run.route.upstream.chat(run.ask, run.answer)) as reads:
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
                run.answered(visit.began)
                return

    async def _begin(self, run: Run, plan: Plan) -> Visit:
        """An attempt begins, where there is time for an answer and its bill."""
        if run.call.deadline - asyncio.get_running_loop().time() < SETTLE_RESERVE_S + ATTEMPT_S_MIN:
            raise TrunklineError(Reason.DEADLINE, "no time is left to ask", metadata={"stage": "provider"})
        visit = self._entered(run) if run.route.line.trunk.bulkhead.take() else None
        while visit is None:
            visit = await self._entered_late(run, plan)
        plan.made += 1
        run.in_flight = True
        return visit

    def _entered(self, run: Run) -> Visit | None:
        """Through the breakers, with a place in hand, which is given back where they are shut."""
        visit = run.route.line.enter(streaming=run.streaming, early=run.choice.is_early)
        if visit is None:
            run.route.line.trunk.bulkhead.leave()
        return visit

    async def _entered_late(self, run: Run, plan: Plan) -> Visit | None:
        """The provider is full, or its breaker has just been shut: wait for a place, or go elsewhere."""
        line = run.route.line
        if line.may_pass(early=run.choice.is_early) and await line.trunk.bulkhead.wait(PLACE_WAIT_S):
            return self._entered(run)
        reason = Reason.OVERLOADED if line.may_pass() else Reason.CIRCUIT_OPEN
        if not run.failures:
            run.choice.pass_over(run.route, reason)
        if await self._moved(run, plan):
            return self._entered(run) if run.route.line.trunk.bulkhead.take() else None
        raise refusals.no_way_in(reason, line.due_in_s, run.failures, run.partial())

    async def _after(self, run: Run, plan: Plan, late: UpstreamFailure, began: float) -> None:
        """An attempt failed: go elsewhere, or wait until the same provider may be asked again, or raise."""
        failure = late if run.begun else late.before_content()
        run.failed(failure, began)
        if run.begun:
            raise failure from late.__cause__
        remaining_s = run.call.deadline - asyncio.get_running_loop().time()
        if not await self._elsewhere(run, plan, failure, remaining_s):
            pause_s = plan.pause_s(failure, remaining_s)
            if pause_s is None:
                raise failure from late.__cause__
            await asyncio.sleep(pause_s)
        run.answer, run.reported_counts = Answer(streaming=run.streaming), False

    async def _elsewhere(self, run: Run, plan: Plan, failure: UpstreamFailure, remaining_s: float) -> bool:
        """Whether the call goes on at another provider."""
        if not run.choice.has_more:
            return False
        if failure.rule.failover is Failover.LARGER_WINDOW:
            run.choice.want_larger(run.route)
        may_move = plan.may_move(failure, remaining_s, own_key=run.route.own_key)
        return may_move and await self._moved(run, plan)

    async def _moved(self, run: Run, plan: Plan) -> bool:
        """Whether there is another candidate. A repair stays where the answer came from."""
        if run.rounds or not await self.admission.move(run):
            return False
        run.call.facts |= {"provider": run.route.provider, "model": run.route.model}
        plan.moved(self._budgets.of(run.route.provider))
        return True

    async def _unable(self, run: Run, plan: Plan, error: TrunklineError) -> None:
        """The question cannot be spelled for this provider: another may take it. Raises what is told to the caller."""
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
        if error.reason is Reason.CAPABILITY_UNSUPPORTED:
            able = self.admission.candidates.able(run.call.caller, run.input, streaming=run.streaming)
            error.metadata = {**error.metadata, "providers": ",".join(able)}
        raise error

    async def _repair(self, run: Run, output: Output) -> None:
        """Tell the model what is wrong with its answer, once, and take the better one or none."""
        used, _ = measure(run)
        question = output.repair(run.input, run.answer)
        offer = self.admission.offer(question, run.route, charged=not run.account.unlimited)
        run.hold = await self.admission.extend(run, offer.most_nanos)
        warnings = run.ask.warnings
        run.ask = self.admission.ask(run.call, question, offer, streaming=False)
        run.ask.warnings = warnings
        run.input_tokens_estimate = offer.input_tokens
        run.rounds.append(used)
        run.answer = Answer(streaming=False)
        await self._answer(run)
        output.require(run.answer)
        run.ask.warn(chat_pb2.WARNING_CODE_OUTPUT_REPAIRED, "", "the first answer did not meet the output format")

    def _plan(self, run: Run) -> Plan:
        budget = self._budgets.of(run.route.provider)
        budget.earn()
        routing = run.input.routing
        attempts_max = routing.max_attempts if routing.HasField("max_attempts") else self._settings.attempts_max
        return Plan(attempts_max, budget)

    def _limits(self, run: Run) -> Limits:
        routing = run.input.routing
        told = routing.attempt_timeout
        attempt_s = told.seconds + told.nanos / 1e9 if routing.HasField("attempt_timeout") else None
        # a whole answer is one read, which comes when the model is done
        first_s = self._settings.first_token_timeout_s if run.streaming else float("inf")
        if run.streaming and run.choice.has_more:  # and leave time for the others
            first_s = min(first_s, (run.call.deadline - asyncio.get_running_loop().time()) * FIRST_WORD_SHARE)
        return Limits(first_s, self._settings.idle_timeout_s, attempt_s)


def _heartbeat(run: Run) -> chat_pb2.StreamResponse | None:
    """Nothing is sent before the first content, so that an early failure stays a clean status."""
    return chat_pb2.StreamResponse(event=run.heartbeat()) if run.begun else None
