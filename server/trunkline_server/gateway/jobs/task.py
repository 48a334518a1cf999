"""A task as a job: its calls come one after the other, and all of them stand on the job's bill."""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.v1 import jobs_pb2
from trunkline_server.core.call import Call
from trunkline_server.core.errors import invalid
from trunkline_server.gateway.jobs.kind import Bench, Done, JobOffer
from trunkline_server.gateway.jobs.offers import fallback, priced
from trunkline_server.gateway.tasks.tasks import Tasks


@dataclass(frozen=True)
class TaskJob:
    """Its tasks ask one question at a time: a job has one reservation."""

    tasks: Tasks

    async def offer(self, call: Call, spec: jobs_pb2.JobSpec) -> JobOffer:
        if spec.task.options.HasField("cache"):
            raise invalid("spec.task.options.cache", "is not for jobs")
        asking = await self.tasks.asking(call, spec.task)
        account = await self.tasks.asker.admission.account(call, asking.route)
        return priced(asking.route, account, self.tasks.most_nanos(asking, charged=not account.unlimited))

    async def run(self, call: Call, spec: jobs_pb2.JobSpec, bench: Bench) -> Done:
        asked = (await self.tasks.asking(call, spec.task)).route
        await bench.progress(0.0, f"asking {asked.provider}/{asked.model}")
        result = jobs_pb2.JobResult(task=await self.tasks.perform(call, spec.task))
        return Done(result, fallback(asked, call))
