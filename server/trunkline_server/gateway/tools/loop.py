"""The loop in which a model calls tools that the gateway runs. Calls without such tools pass through untouched.

Every round is a call of its own through the gateway: admitted, guarded, settled. While a tool runs no money is held, so
one that is slow, or never answers, leaves nothing open.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core import ids, question
from trunkline_server.core.call import Call
from trunkline_server.core.errors import Reason, TrunklineError, invalid, not_found
from trunkline_server.gateway import refusals
from trunkline_server.gateway.live import LiveCall, LiveCalls
from trunkline_server.gateway.tools.approvals import Approvals
from trunkline_server.gateway.tools.queued_runs import QueuedRuns
from trunkline_server.gateway.tools.runner import Ran, Runner, declined, failed
from trunkline_server.gateway.tools.telling import Telling
from trunkline_server.gateway.tools.toolbox import Toolbox, has_rounds
from trunkline_server.gateway.tools.turn import ToolTurn, outstanding

SPENT: Final = frozenset((Reason.CREDIT_INSUFFICIENT, Reason.BUDGET_EXCEEDED))
"""Why another round may not be had that the caller would rather hear as an end than as an error."""

_NOTHING_TOLD: Final[tuple[chat_pb2.ChatEvent, ...]] = ()


class Answered(Protocol):
    """An answer that can be written down."""

    def write(self, completion: chat_pb2.Completion) -> None: ...


class Gate(Protocol):
    """Where a question to a model goes."""

    def complete(self, call: Call, input: chat_pb2.ChatInput) -> Coroutine[Any, Any, Answered]: ...

    def stream(self, call: Call, input: chat_pb2.ChatInput) -> AsyncGenerator[chat_pb2.ChatEvent, None]: ...


Ask: TypeAlias = "Callable[[_Loop], AsyncGenerator[chat_pb2.ChatEvent, None]]"


@dataclass(frozen=True, slots=True)
class ToolLoop:
    """Stands where the gateway would."""

    gate: Gate
    live: LiveCalls
    toolbox: Toolbox
    runner: Runner
    approvals: Approvals
    queued: QueuedRuns

    def complete(self, call: Call, input: chat_pb2.ChatInput) -> Coroutine[Any, Any, Answered]:
        """The answer in one piece."""
        return self._completed(call, input) if has_rounds(input) else self.gate.complete(call, input)

    async def _completed(self, call: Call, input: chat_pb2.ChatInput) -> Answered:
        loop = await self._begun(call, input)
        async with aclosing(loop.events(_Loop.whole)) as events:
            async for _ in events:
                pass
        return loop.turn

    def stream(self, call: Call, input: chat_pb2.ChatInput) -> AsyncGenerator[chat_pb2.ChatEvent, None]:
        """The answer as it comes in."""
        return self._streamed(call, input) if has_rounds(input) else self.gate.stream(call, input)

    async def offered(self, call: Call, input: chat_pb2.ChatInput) -> chat_pb2.ChatInput:
        """The question as a provider would get it, with the tools that the gateway runs spelled out."""
        return (await self._turn(call, input)).input if has_rounds(input) else input

    async def _streamed(self, call: Call, input: chat_pb2.ChatInput) -> AsyncGenerator[chat_pb2.ChatEvent, None]:
        loop = await self._begun(call, input)
        call.on_silence = loop.telling.heartbeat
        async with aclosing(loop.events(_Loop.streamed)) as events:
            async for event in events:
                yield event
        for event in loop.telling.last_events():
            yield event

    async def _turn(self, call: Call, input: chat_pb2.ChatInput) -> ToolTurn:
        """Raises SCOPE_MISSING, RESOURCE_NOT_FOUND, VALIDATION."""
        if input.sampling.candidate_count > 1:
            raise invalid("input.sampling.candidate_count", "must be 1 where the gateway runs tools")
        kit = await self.toolbox.kit(call, input)
        asked = chat_pb2.ChatInput()
        asked.CopyFrom(input)
        for name in ("tools", "tool_approvals", "max_tool_rounds", "tool_queue"):
            asked.ClearField(name)
        asked.tools.extend(kit.offered)
        question.check_shape(asked)
        most = self.runner.settings.rounds_max
        rounds_max = min(input.max_tool_rounds, most) if input.HasField("max_tool_rounds") else most
        return ToolTurn(call, asked, kit, rounds_max, self.approvals)

    async def _begun(self, call: Call, input: chat_pb2.ChatInput) -> _Loop:
        """With what an earlier answer stopped for done."""
        turn = await self._turn(call, input)
        max_nanos = input.max_cost.nanos if input.HasField("max_cost") else None
        loop = _Loop(self, turn, Telling(turn), max_nanos, input.tool_queue)
        due = list(outstanding(turn.input.messages, turn.kit))
        given = {each.call_id: each for each in input.tool_approvals}
        if strangers := given.keys() - {called.call_id for called in due}:
            raise invalid("input.tool_approvals", f"the call {min(strangers)!r} awaits no approval")
        if due:
            await loop.resume(due, given)
        return loop


@dataclass(slots=True)
class _Loop:
    """One call on its way."""

    house: ToolLoop
    turn: ToolTurn
    telling: Telling
    max_nanos: int | None
    queue: str
    """Where tools are run; empty: here."""
    live: LiveCall | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    async def resume(self, due: Sequence[content_pb2.ToolCallPart], given: Mapping[str, chat_pb2.ToolApproval]) -> None:
        """Run what waits since an earlier call. Raises VALIDATION where somebody's word is missing, or is none; then no
        word is used up.
        """
        words = [self._word(called, given) for called in due]
        approved = [word is None or await self.house.approvals.take(word) for word in words]
        places = self._places()
        running = (
            self._one(places, called) if yes else _declined(called) for called, yes in zip(due, approved, strict=True)
        )
        results = await asyncio.gather(*running)
        self.turn.input.messages.add(role=content_pb2.ROLE_TOOL, parts=self.turn.ran(results))

    async def events(self, ask: Ask) -> AsyncGenerator[chat_pb2.ChatEvent, None]:
        """Until the answer is whole."""
        try:
            with self._stack:
                async with aclosing(self._rounds(ask)) as events:
                    async for event in events:
                        yield event
        except asyncio.CancelledError:
            if self.live is None or self.live.stopped is None:
                raise
            self.live.task.uncancel()
            partial = self.turn.tally.partial(None, self.telling.sequence)
            raise refusals.stopped(self.live.stopped, partial) from None

    async def _rounds(self, ask: Ask) -> AsyncGenerator[chat_pb2.ChatEvent, None]:
        goes_on = True
        while goes_on:
            async with aclosing(self._round(ask)) as events:
                async for event in events:
                    yield event
            if not (due := self._due()) and not self.turn.is_paused:
                return
            results: list[content_pb2.Part] = []
            async with aclosing(self._run(due, results)) as events:
                async for event in events:
                    yield event
            goes_on = self._goes_on(results)

    async def _round(self, ask: Ask) -> AsyncGenerator[chat_pb2.ChatEvent, None]:
        """The model is asked."""
        self.telling.begin_round()
        try:
            async with aclosing(ask(self)) as events:
                async for event in events:
                    yield event
        except TrunklineError as error:
            if error.reason not in SPENT or not self.turn.tally.whole.tool_rounds:
                raise self.turn.failed(error, self.telling.sequence) from error.__cause__
            self.turn.end(chat_pb2.FINISH_REASON_MAX_COST)
        finally:
            self.turn.note_bill()
        self._enter()

    def _due(self) -> list[content_pb2.ToolCallPart]:
        """What to run now."""
        due = self.turn.due()
        if due and not self.turn.has_round:
            self.turn.end(chat_pb2.FINISH_REASON_MAX_TOOL_ROUNDS)
            return []
        return due

    def _goes_on(self, results: Sequence[content_pb2.Part]) -> bool:
        """Whether the model is asked again."""
        if self.turn.is_paused:
            self.turn.end(chat_pb2.FINISH_REASON_PAUSED)
            return False
        if self.turn.is_callers:
            return False
        self.turn.ask_again(results)
        if not self.turn.afford(self.max_nanos):
            self.turn.end(chat_pb2.FINISH_REASON_MAX_COST)
            return False
        return True

    async def whole(self) -> AsyncGenerator[chat_pb2.ChatEvent, None]:
        """A round in one piece, of which nobody hears before it is whole."""
        answered = await self.house.gate.complete(self.turn.begin_round(), self.turn.input)
        round_ = chat_pb2.Completion()
        answered.write(round_)
        self.turn.heard(round_)
        for event in _NOTHING_TOLD:
            yield event

    async def streamed(self) -> AsyncGenerator[chat_pb2.ChatEvent, None]:
        """A round as it comes in."""
        async with aclosing(self.house.gate.stream(self.turn.begin_round(), self.turn.input)) as events:
            async for event in events:
                for told in self.telling.retold(event):
                    yield told
        self.turn.heard(self.telling.round())

    def _enter(self) -> None:
        """From its first answer on it runs, and can be stopped, under the id of that."""
        completion_id = ids.parse("cmpl", self.turn.tally.whole.completion_id)
        if self.live is None and completion_id is not None:
            self.live = self._stack.enter_context(
                self.house.live.entered(self.turn.call.caller.tenant_id, completion_id)
            )

    async def _run(
        self, due: Sequence[content_pb2.ToolCallPart], parts: list[content_pb2.Part]
    ) -> AsyncGenerator[chat_pb2.ChatEvent, None]:
        """All of them, so many at once; `parts` are their results, in the order of the calls."""
        places = self._places()
        tasks = [asyncio.create_task(self._one(places, called), name="tool") for called in due]
        try:
            for called in due:
                state = chat_pb2.TOOL_RUN_STATE_RUNNING
                yield self.telling.progress(chat_pb2.ToolRun(call_id=called.call_id, name=called.name, state=state))
            for done in asyncio.as_completed(tasks):
                yield self.telling.progress((await done).run)
        finally:
            await _ended(tasks)
        first = len(self.turn.parts)
        parts.extend(self.turn.ran([task.result() for task in tasks]))
        for event in self.telling.parts(parts, first):
            yield event

    def _places(self) -> asyncio.Semaphore:
        return asyncio.Semaphore(self.house.runner.settings.parallel_max)

    async def _one(self, places: asyncio.Semaphore, called: content_pb2.ToolCallPart) -> Ran:
        tool = self.turn.kit.runs.get(called.name)
        if tool is None:
            return failed(called, not_found("tool", called.name))
        if called.state == content_pb2.TOOL_CALL_STATE_INVALID:  # whatever it says by now, nobody was asked about it
            return failed(called, invalid("arguments_json", "were not a whole JSON object"))
        async with places:
            if self.queue:
                return await self.house.queued.run(self.turn.call, self.queue, called)
            return await self.house.runner.run(tool, called, self.turn.call.deadline)

    def _word(
        self, called: content_pb2.ToolCallPart, given: Mapping[str, chat_pb2.ToolApproval]
    ) -> chat_pb2.ToolApproval | None:
        """What a person said of a call; None where it needs nobody's word. Raises VALIDATION."""
        if not self.turn.needs_approval(called):
            return None
        word = given.get(called.call_id)
        if word is None:
            raise invalid("input.tool_approvals", f"the call {called.call_id!r} awaits approval")
        self.house.approvals.check(self.turn.call.caller.tenant_id, called, word.approval_token)
        return word


async def _declined(called: content_pb2.ToolCallPart) -> Ran:
    return declined(called)


async def _ended(tasks: Sequence[asyncio.Task[Ran]]) -> None:
    """None of them outlives the call."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
