"""The loop in which a model calls tools that the gateway runs. Calls without such tools pass through untouched."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

from trunkline.v1 import chat_pb2
from trunkline_server.core import question
from trunkline_server.core.call import Call
from trunkline_server.core.errors import invalid
from trunkline_server.gateway.live import LiveCalls
from trunkline_server.gateway.tools.approvals import Approvals
from trunkline_server.gateway.tools.queued_runs import QueuedRuns
from trunkline_server.gateway.tools.rounds import Rounds
from trunkline_server.gateway.tools.runner import Runner
from trunkline_server.gateway.tools.telling import Telling
from trunkline_server.gateway.tools.toolbox import Toolbox, has_rounds
from trunkline_server.gateway.tools.turn import ToolTurn, outstanding


class Answered(Protocol):
    """An answer that can be written down."""

    def write(self, completion: chat_pb2.Completion) -> None: ...


class Gate(Protocol):
    """Where a question to a model goes."""

    def complete(self, call: Call, input: chat_pb2.ChatInput) -> Coroutine[Any, Any, Answered]: ...

    def stream(self, call: Call, input: chat_pb2.ChatInput) -> AsyncGenerator[chat_pb2.ChatEvent, None]: ...


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
        rounds = await self._begun(call, input)
        async with aclosing(rounds.events(Rounds.whole)) as events:
            async for _ in events:
                pass
        return rounds.turn

    def stream(self, call: Call, input: chat_pb2.ChatInput) -> AsyncGenerator[chat_pb2.ChatEvent, None]:
        """The answer as it comes in."""
        return self._streamed(call, input) if has_rounds(input) else self.gate.stream(call, input)

    async def offered(self, call: Call, input: chat_pb2.ChatInput) -> chat_pb2.ChatInput:
        """The question as a provider would get it, with the tools that the gateway runs spelled out."""
        return (await self._turn(call, input)).input if has_rounds(input) else input

    async def _streamed(self, call: Call, input: chat_pb2.ChatInput) -> AsyncGenerator[chat_pb2.ChatEvent, None]:
        rounds = await self._begun(call, input)
        call.on_silence = rounds.telling.heartbeat
        async with aclosing(rounds.events(Rounds.streamed)) as events:
            async for event in events:
                yield event
        for event in rounds.telling.last_events():
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

    async def _begun(self, call: Call, input: chat_pb2.ChatInput) -> Rounds:
        """With what an earlier answer stopped for done."""
        turn = await self._turn(call, input)
        max_nanos = input.max_cost.nanos if input.HasField("max_cost") else None
        rounds = Rounds(self, turn, Telling(turn), max_nanos, input.tool_queue)
        due = list(outstanding(turn.input.messages, turn.kit))
        given = {each.call_id: each for each in input.tool_approvals}
        if strangers := given.keys() - {called.call_id for called in due}:
            raise invalid("input.tool_approvals", f"the call {min(strangers)!r} awaits no approval")
        if due:
            await rounds.resume(due, given)
        return rounds
