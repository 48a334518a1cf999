"""Work other than chat as a job: the same path through the gateway, with its journal in the database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from trunkline.v1 import audio_pb2, images_pb2, jobs_pb2
from trunkline_server.core import errand_rules
from trunkline_server.core.call import Call
from trunkline_server.core.errors import invalid
from trunkline_server.core.operation import Operation
from trunkline_server.gateway.errand_work import ErrandWork
from trunkline_server.gateway.errands import Errands
from trunkline_server.gateway.jobs.kind import Bench, Done, JobOffer
from trunkline_server.gateway.jobs.long_work import LongWork, stay
from trunkline_server.gateway.jobs.offers import fallback, offered
from trunkline_server.gateway.jobs.wakes import Wakes
from trunkline_server.store.operations import Operations


@dataclass(frozen=True)
class ErrandJob:
    """`field` is its name in `JobSpec` and in `JobResult`; `operation_of` says what an input asks for."""

    errands: Errands
    operations: Operations
    field: str
    operation_of: Callable[[Any], Operation]
    wakes: Wakes

    async def offer(self, call: Call, spec: jobs_pb2.JobSpec) -> JobOffer:
        input = getattr(spec, self.field)
        errand_rules.check(input, self.errands.policy)
        if isinstance(input, audio_pb2.TranscriptionInput) and not input.HasField("audio"):
            raise invalid("spec.transcription.audio", "is missing")
        work: ErrandWork[Any, Any] = ErrandWork(input, kind=self.operation_of(input))
        return await offered(self.errands.gateway.admission, call, work)

    async def run(self, call: Call, spec: jobs_pb2.JobSpec, bench: Bench) -> Done:
        input = getattr(spec, self.field)
        first = self.errands.gateway.admission.candidates.first(call, input)
        await bench.progress(0.0, f"asking {first.provider}/{first.model}")
        await stay(input, self.operations, bench.job_id)
        journal = LongWork(self.operations, bench, self.wakes.pause_of(bench.job_id))
        with journal.closed():
            run = await self.errands.do(call, self.operation_of(input), input, journal)
        result = jobs_pb2.JobResult()
        told = getattr(result, self.field)
        told.MergeFromString(run.product.body.SerializeToString())
        told.receipt.CopyFrom(run.receipt())
        return Done(result, fallback(first, call))


def works(errands: Errands, operations: Operations, wakes: Wakes) -> dict[str, ErrandJob]:
    """A job kind for each field of `JobSpec` that is answered in one piece."""

    def kind(field: str, operation_of: Callable[[Any], Operation]) -> ErrandJob:
        return ErrandJob(errands, operations, field, operation_of, wakes)

    kinds = (
        kind("embed", lambda _: Operation.EMBED),
        kind("image", _image),
        kind("transcription", lambda _: Operation.TRANSCRIPTION),
        kind("video", lambda _: Operation.VIDEO),
    )
    return {each.field: each for each in kinds}


def _image(input: images_pb2.ImageInput) -> Operation:
    return Operation.IMAGE_EDIT if input.images else Operation.IMAGE
