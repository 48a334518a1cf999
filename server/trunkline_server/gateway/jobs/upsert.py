"""Documents that are put into a collection by a job: what is there already is not embedded, nor paid for, again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trunkline.v1 import embeddings_pb2, jobs_pb2
from trunkline_server.core.call import Call
from trunkline_server.core.operation import Operation
from trunkline_server.gateway.collections.intake import Intake, embedding
from trunkline_server.gateway.errand_work import ErrandWork
from trunkline_server.gateway.jobs.kind import Bench, Done, JobOffer
from trunkline_server.gateway.jobs.offers import offered


@dataclass(frozen=True)
class UpsertJob:
    """Reserves what embedding all of the documents could cost."""

    intake: Intake

    async def offer(self, call: Call, spec: jobs_pb2.JobSpec) -> JobOffer:
        found, written = await self.intake.prepared(call, spec.upsert)
        work: ErrandWork[embeddings_pb2.EmbedInput, Any]
        work = ErrandWork(embedding(found, written), kind=Operation.EMBED)
        return await offered(self.intake.errands.gateway.admission, call, work)

    async def run(self, call: Call, spec: jobs_pb2.JobSpec, bench: Bench) -> Done:
        await bench.progress(0.0, f"putting {len(spec.upsert.documents)} documents in")
        return Done(jobs_pb2.JobResult(upsert=await self.intake.put(call, spec.upsert)))
