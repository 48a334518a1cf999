"""A task as a job: its calls come one after the other, and all of them stand on the job's bill."""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.v1 import jobs_pb2
from trunkline_server.core.call import Call
from trunkline_server.core.errors import invalid
from trunkline_server.gateway.jobs.kind import Bench, Done, JobOffer
from trunkline_server.gateway.tasks.tasks import Tasks


@dataclass(frozen=True)
class TaskJob:
    """Its tasks ask one question at a time: a job has one reservation."""

    tasks: Tasks

    async def offer(self, call: Call, spec: jobs_pb2.JobSpec) -> JobOffer:
        if spec.task.options.HasField("cache"):
            raise invalid("spec.task.options.cache", "is not for jobs")
        asking = await self.tasks.asking(call, spec.task)
        route, admission = asking.route, self.tasks.asker.admission
        account = await admission.account(call, route)
        most = self.tasks.most_nanos(asking, charged=not account.unlimited)
        version = route.price.version if route.price else ""
        return JobOffer(account, most, route.provider, route.model, version)

    async def run(self, call: Call, spec: jobs_pb2.JobSpec, bench: Bench) -> Done:
        asked = (await self.tasks.asking(call, spec.task)).route
        await bench.progress(0.0, f"asking {asked.provider}/{asked.model}")
        result = jobs_pb2.JobResult(task=await self.tasks.perform(call, spec.task))
        first, did = (asked.provider, asked.model), (call.facts["provider"], call.facts["model"])
        return Done(result, "" if first == did else "/".join(map(str, did)))
