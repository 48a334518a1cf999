"""A tool run by a job. It is free, and its call is named after the job: a tool that is called again can know it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trunkline.v1 import jobs_pb2
from trunkline_server.core import ids
from trunkline_server.core.call import Call
from trunkline_server.gateway.admission import Admission
from trunkline_server.gateway.jobs.kind import Bench, Done, JobOffer
from trunkline_server.gateway.tools.runner import Runner, check_arguments, told
from trunkline_server.gateway.tools.tool import Ask
from trunkline_server.gateway.tools.toolbox import Toolbox, require_scope

TOOL: Final = "spec.tool.tool"


@dataclass(frozen=True)
class ToolJob:
    """The tool is looked for twice: when the job is ordered, and when it runs."""

    toolbox: Toolbox
    runner: Runner
    admission: Admission

    async def offer(self, call: Call, spec: jobs_pb2.JobSpec) -> JobOffer:
        require_scope(call)
        tool = await self.toolbox.find(call, spec.tool.tool, TOOL)
        check_arguments(tool, spec.tool.arguments_json)
        account = await self.admission.account_at(call, "", "")
        return JobOffer(account, most_nanos=0, provider="", model=tool.spec.name, price_version="")

    async def run(self, call: Call, spec: jobs_pb2.JobSpec, bench: Bench) -> Done:
        tool = await self.toolbox.find(call, spec.tool.tool, TOOL)
        await bench.progress(0.0, f"running {tool.spec.name}")
        ask = Ask(ids.spell("call", bench.job_id), spec.tool.arguments_json)
        ran = await self.runner.insist(tool, ask, call.deadline)
        return Done(jobs_pb2.JobResult(tool=told(ran)))
