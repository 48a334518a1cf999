"""A chat call as a job: the same path through the gateway, with nobody on the line."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from trunkline.v1 import chat_pb2, jobs_pb2
from trunkline_server.core import question
from trunkline_server.core.address import EgressPolicy
from trunkline_server.core.call import Call
from trunkline_server.gateway.chat_work import ChatWork
from trunkline_server.gateway.completions import folded
from trunkline_server.gateway.gateway import Gateway
from trunkline_server.gateway.jobs.kind import Bench, Done, JobOffer
from trunkline_server.gateway.jobs.long_work import LongWork, stay
from trunkline_server.gateway.jobs.offers import fallback, offered
from trunkline_server.gateway.jobs.wakes import Wakes
from trunkline_server.gateway.journal import Journal
from trunkline_server.gateway.media import Media
from trunkline_server.store.operations import Operations

KEEP_MAX: Final = 64
"""Events of an answer that are kept together, at most; what comes slower is kept as it comes."""


@dataclass(frozen=True)
class ChatJob:
    """Whole answers, or their events for those who watch."""

    gateway: Gateway
    media: Media
    policy: EgressPolicy
    operations: Operations
    wakes: Wakes

    async def offer(self, call: Call, spec: jobs_pb2.JobSpec) -> JobOffer:
        question.check(spec.chat, self.policy)
        return await offered(self.gateway.admission, call, ChatWork(spec.chat))

    async def run(self, call: Call, spec: jobs_pb2.JobSpec, bench: Bench) -> Done:
        if spec.chat.provider_options_json:  # without a word of its own no provider takes its own time
            await stay(spec.chat, self.operations, bench.job_id)
        journal = LongWork(self.operations, bench, self.wakes.pause_of(bench.job_id))
        with journal.closed():
            return await self._run(call, spec, bench, journal)

    async def _run(self, call: Call, spec: jobs_pb2.JobSpec, bench: Bench, journal: Journal) -> Done:
        first = self.gateway.admission.candidates.first(call, spec.chat)
        input = await self.media.inline(spec.chat, takes_urls=first.upstream.provider.takes_urls)
        await bench.progress(0.0, f"asking {first.provider}/{first.model}")
        result = jobs_pb2.JobResult()
        if bench.streams:
            await self._stream(call, ChatWork(input, streaming=True, journal=journal), bench, result.completion)
        else:
            run = await self.gateway.complete(call, input, journal)
            run.write(result.completion)
        return Done(result, fallback(first, call))

    async def _stream(self, call: Call, work: ChatWork, bench: Bench, completion: chat_pb2.Completion) -> None:
        told: list[chat_pb2.ChatEvent] = []
        async with aclosing(self.gateway.stream(call, work)) as events:
            async for event in events:
                told.append(event)
                await bench.keep((event,))
        _fold(told, completion)


def _fold(events: list[chat_pb2.ChatEvent], completion: chat_pb2.Completion) -> None:
    """The whole answer, as a call in one piece would have it."""
    started, completed = events[0].started, events[-1].completed
    completion.completion_id = started.completion_id
    completion.provider, completion.model = started.provider, started.model
    completion.create_time.CopyFrom(started.create_time)
    completion.end_time.CopyFrom(completed.end_time)
    completion.candidates.extend(folded(events))
    completion.usage.CopyFrom(completed.usage)
    completion.cost.CopyFrom(completed.cost)
    completion.charge.CopyFrom(completed.charge)
    completion.attempts.extend(completed.attempts)
    completion.warnings.extend(completed.warnings)
    completion.guard_findings.extend(completed.guard_findings)
    completion.outcome = completed.outcome
    completion.provider_response_id = completed.provider_response_id
    completion.price_version = completed.price_version
