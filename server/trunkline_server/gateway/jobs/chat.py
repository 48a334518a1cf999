"""A chat call as a job: the same path through the gateway, with nobody on the line."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

from trunkline.v1 import chat_pb2, jobs_pb2
from trunkline_server.core import ids, question
from trunkline_server.core.address import EgressPolicy
from trunkline_server.core.call import Call
from trunkline_server.core.errors import invalid
from trunkline_server.gateway.chat_work import ChatWork
from trunkline_server.gateway.completions import fold
from trunkline_server.gateway.gateway import Gateway
from trunkline_server.gateway.jobs.kind import Bench, Done, JobOffer, NotYet
from trunkline_server.gateway.jobs.long_work import LongWork, stay
from trunkline_server.gateway.jobs.offers import fallback, offered
from trunkline_server.gateway.jobs.wakes import Wakes
from trunkline_server.gateway.journal import UNWRITTEN, Journal
from trunkline_server.gateway.questions import Questions
from trunkline_server.gateway.routes import Route
from trunkline_server.gateway.talks import talks
from trunkline_server.gateway.talks.talks import Talks
from trunkline_server.gateway.tools import toolbox
from trunkline_server.gateway.tools.loop import ToolLoop
from trunkline_server.gateway.tools.plain import PlainGate
from trunkline_server.gateway.tools.toolbox import has_rounds
from trunkline_server.store.jobs import Jobs
from trunkline_server.store.operations import Operations

SCOPES: Final = frozenset((toolbox.SCOPE, talks.SCOPE))
"""To run tools, and to speak in conversations."""
IN_LINE_S: Final = 0.5
IN_LINE_S_MAX: Final = 15.0
"""When a job looks again whether those before it have spoken: the sooner, the fewer they are."""


@dataclass(frozen=True)
class ChatJob:
    """Whole answers, or their events for those who watch."""

    gateway: Gateway
    talks: Talks
    tools: ToolLoop
    questions: Questions
    policy: EgressPolicy
    operations: Operations
    jobs: Jobs
    wakes: Wakes

    async def offer(self, call: Call, spec: jobs_pb2.JobSpec) -> JobOffer:
        if spec.chat.HasField("retrieval"):
            raise invalid("input.retrieval", "reads in a collection, which only calls of ChatService can")
        whole = await self.talks.question(call, spec.chat)
        question.check(whole, self.policy)
        asked = await self.tools.offered(call, whole)
        return await offered(self.gateway.admission, call, ChatWork(asked))

    async def run(self, call: Call, spec: jobs_pb2.JobSpec, bench: Bench) -> Done:
        await self._wait_in_line(spec.chat, bench)
        if spec.chat.provider_options_json:  # without a word of its own no provider takes its own time
            await stay(spec.chat, self.operations, bench.job_id)
        journal = LongWork(self.operations, bench, self.wakes.pause_of(bench.job_id))
        with journal.closed():
            return await self._run(call, spec, bench, journal)

    async def _wait_in_line(self, input: chat_pb2.ChatInput, bench: Bench) -> None:
        """Raises NotYet while an earlier job has yet to speak in the same conversation."""
        conversation_id = ids.parse("conv", input.conversation_id)
        if conversation_id and (ahead := await self.jobs.ahead(bench.job_id, conversation_id)):
            raise NotYet(min(ahead * IN_LINE_S, IN_LINE_S_MAX))

    async def _run(self, call: Call, spec: jobs_pb2.JobSpec, bench: Bench, journal: Journal) -> Done:
        ordered, minutes, result = _as_ordered(call), self.talks.dictated(bench.job_id), jobs_pb2.JobResult()
        async with self.talks.turn(ordered, spec.chat, minutes) as turn:
            first = self.gateway.admission.candidates.first(call, turn.input)
            await bench.progress(0.0, f"asking {first.provider}/{first.model}")
            input = await self._whole(call, turn.input, first)
            tools = self._tools(input, bench, journal)
            if bench.streams:
                await self._stream(turn.heard(tools.stream(ordered, input)), bench, result.completion)
            else:
                (await tools.complete(ordered, input)).write(result.completion)
                await turn.told(result.completion)
        return Done(result, fallback(first, call), minutes.saying)

    async def _whole(self, call: Call, input: chat_pb2.ChatInput, first: Route) -> chat_pb2.ChatInput:
        """What it leans on may have changed since it was ordered, so it is checked again."""
        question.check(input, self.policy)
        return await self.questions.whole(call, input, first)

    def _tools(self, input: chat_pb2.ChatInput, bench: Bench, journal: Journal) -> ToolLoop:
        """A journal has one page: it is for an answer in one round."""
        gate = PlainGate(self.gateway, UNWRITTEN if has_rounds(input) else journal)
        return replace(self.tools, gate=gate, queued=replace(self.tools.queued, idle=bench.idle))

    async def _stream(
        self, heard: AsyncGenerator[chat_pb2.ChatEvent, None], bench: Bench, completion: chat_pb2.Completion
    ) -> None:
        told: list[chat_pb2.ChatEvent] = []
        async with aclosing(heard) as events:
            async for event in events:
                told.append(event)
                await bench.keep((event,))
        fold(told, completion)


def _as_ordered(call: Call) -> Call:
    """With the rights that were asked for when the job was ordered."""
    return replace(call, caller=replace(call.caller, scopes=SCOPES))
