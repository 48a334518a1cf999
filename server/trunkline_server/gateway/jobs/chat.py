"""A chat call as a job: the same path through the gateway, with nobody on the line."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

from trunkline.v1 import chat_pb2, jobs_pb2
from trunkline_server.core import question
from trunkline_server.core.address import EgressPolicy
from trunkline_server.core.call import Call
from trunkline_server.gateway.chat_work import ChatWork
from trunkline_server.gateway.completions import fold
from trunkline_server.gateway.gateway import Gateway
from trunkline_server.gateway.jobs.kind import Bench, Done, JobOffer
from trunkline_server.gateway.jobs.long_work import LongWork, stay
from trunkline_server.gateway.jobs.offers import fallback, offered
from trunkline_server.gateway.jobs.wakes import Wakes
from trunkline_server.gateway.journal import UNWRITTEN, Journal
from trunkline_server.gateway.media import Media
from trunkline_server.gateway.tools.loop import ToolLoop
from trunkline_server.gateway.tools.plain import PlainGate
from trunkline_server.gateway.tools.toolbox import SCOPE, has_rounds
from trunkline_server.store.operations import Operations

KEEP_MAX: Final = 64
"""Events of an answer that are kept together, at most; what comes slower is kept as it comes."""


@dataclass(frozen=True)
class ChatJob:
    """Whole answers, or their events for those who watch."""

    gateway: Gateway
    tools: ToolLoop
    media: Media
    policy: EgressPolicy
    operations: Operations
    wakes: Wakes

    async def offer(self, call: Call, spec: jobs_pb2.JobSpec) -> JobOffer:
        question.check(spec.chat, self.policy)
        asked = await self.tools.offered(call, spec.chat)
        return await offered(self.gateway.admission, call, ChatWork(asked))

    async def run(self, call: Call, spec: jobs_pb2.JobSpec, bench: Bench) -> Done:
        if spec.chat.provider_options_json:  # without a word of its own no provider takes its own time
            await stay(spec.chat, self.operations, bench.job_id)
        journal = LongWork(self.operations, bench, self.wakes.pause_of(bench.job_id))
        with journal.closed():
            return await self._run(call, spec, bench, journal)

    async def _run(self, call: Call, spec: jobs_pb2.JobSpec, bench: Bench, journal: Journal) -> Done:
        first = self.gateway.admission.candidates.first(call, spec.chat)
        input = await self.media.inline(call.caller.tenant_id, spec.chat, takes_urls=first.upstream.provider.takes_urls)
        await bench.progress(0.0, f"asking {first.provider}/{first.model}")
        result = jobs_pb2.JobResult()
        ordered, tools = _as_ordered(call), self._tools(input, bench, journal)
        if bench.streams:
            await self._stream(ordered, input, tools, bench, result.completion)
        else:
            answered = await tools.complete(ordered, input)
            answered.write(result.completion)
        return Done(result, fallback(first, call))

    def _tools(self, input: chat_pb2.ChatInput, bench: Bench, journal: Journal) -> ToolLoop:
        """A journal has one page: it is for an answer in one round."""
        gate = PlainGate(self.gateway, UNWRITTEN if has_rounds(input) else journal)
        return replace(self.tools, gate=gate, queued=replace(self.tools.queued, idle=bench.idle))

    async def _stream(
        self, call: Call, input: chat_pb2.ChatInput, tools: ToolLoop, bench: Bench, completion: chat_pb2.Completion
    ) -> None:
        told: list[chat_pb2.ChatEvent] = []
        async with aclosing(tools.stream(call, input)) as events:
            async for event in events:
                told.append(event)
                await bench.keep((event,))
        fold(told, completion)


def _as_ordered(call: Call) -> Call:
    """With the right to run tools, which was asked for when the job was ordered."""
    return replace(call, caller=replace(call.caller, scopes=frozenset((SCOPE,))))
