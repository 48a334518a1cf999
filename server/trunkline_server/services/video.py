"""VideoService."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trunkline.v1 import jobs_pb2, video_pb2
from trunkline_server.core.call import Call
from trunkline_server.core.errors import Describe
from trunkline_server.gateway.job_reports import job_message
from trunkline_server.gateway.jobs.orders import Orders, Wish, made
from trunkline_server.store.jobs import Jobs

ATTEMPT_S: Final = 3600
"""Providers take minutes for a film, and longer when they are busy."""


@dataclass(frozen=True)
class VideoService:
    """Films, each as a job."""

    jobs: Jobs
    orders: Orders
    describe: Describe

    async def generate_video(
        self, call: Call, request: video_pb2.GenerateVideoRequest
    ) -> video_pb2.GenerateVideoResponse:
        wish = Wish(timeout_s=ATTEMPT_S, labels=request.input.labels)
        spec = jobs_pb2.JobSpec(video=request.input)
        order = await self.orders.make(call, spec, wish, call.idempotency_key)
        job_id = made(order, await self.jobs.enqueue(order))
        row = await self.jobs.get(call.caller.tenant_id, job_id)
        return video_pb2.GenerateVideoResponse(job=job_message(row, self.describe))
