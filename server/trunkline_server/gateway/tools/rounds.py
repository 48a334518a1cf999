"""The rounds of one call in which a model calls tools that the gateway runs.

Each is a call of its own through the gateway: admitted, guarded, settled. While a tool runs no money is held, so one
that is slow, or never answers, leaves nothing open.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core import ids
from trunkline_server.core.errors import Reason, TrunklineError, invalid, not_found
from trunkline_server.gateway.live import LiveCall
from trunkline_server.gateway.tools.runner import Ran, declined, failed
from trunkline_server.gateway.tools.telling import Telling
from trunkline_server.gateway.tools.turn import ToolTurn

if TYPE_CHECKING:
    from trunkline_server.gateway.tools.loop import ToolLoop

SPENT: Final = frozenset((Reason.CREDIT_INSUFFICIENT, Reason.BUDGET_EXCEEDED))
"""Why another round may not be had that the caller would rather hear as an end than as an error."""

_NOTHING_TOLD: Final[tuple[chat_pb2.ChatEvent, ...]] = ()

Ask: TypeAlias = "Callable[[Rounds], AsyncGenerator[chat_pb2.ChatEvent, None]]"


@dataclass(slots=True)
class Rounds:
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
            raise self.turn.stopped(self.live.stopped, self.telling.sequence) from None

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
