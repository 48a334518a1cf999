"""TaskService: what people ask of texts again and again, with answers that have a type."""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.v1 import tasks_pb2
from trunkline_server.core.call import Call
from trunkline_server.gateway.tasks.tasks import Tasks


@dataclass(frozen=True)
class TaskService:
    """Each method is the task of its name."""

    tasks: Tasks

    async def classify(self, call: Call, request: tasks_pb2.ClassifyRequest) -> tasks_pb2.ClassifyResponse:
        input = tasks_pb2.TaskInput(classify=request.classify, options=request.options)
        done = await self.tasks.perform(call, input)
        return tasks_pb2.ClassifyResponse(result=done.classify, receipt=done.receipt)

    async def extract(self, call: Call, request: tasks_pb2.ExtractRequest) -> tasks_pb2.ExtractResponse:
        input = tasks_pb2.TaskInput(extract=request.extract, options=request.options)
        done = await self.tasks.perform(call, input)
        return tasks_pb2.ExtractResponse(result=done.extract, receipt=done.receipt)

    async def summarize(self, call: Call, request: tasks_pb2.SummarizeRequest) -> tasks_pb2.SummarizeResponse:
        input = tasks_pb2.TaskInput(summarize=request.summarize, options=request.options)
        done = await self.tasks.perform(call, input)
        return tasks_pb2.SummarizeResponse(result=done.summarize, receipt=done.receipt)

    async def translate(self, call: Call, request: tasks_pb2.TranslateRequest) -> tasks_pb2.TranslateResponse:
        input = tasks_pb2.TaskInput(translate=request.translate, options=request.options)
        done = await self.tasks.perform(call, input)
        return tasks_pb2.TranslateResponse(result=done.translate, receipt=done.receipt)

    async def generate_code(self, call: Call, request: tasks_pb2.GenerateCodeRequest) -> tasks_pb2.GenerateCodeResponse:
        input = tasks_pb2.TaskInput(generate_code=request.generate_code, options=request.options)
        done = await self.tasks.perform(call, input)
        return tasks_pb2.GenerateCodeResponse(result=done.generate_code, receipt=done.receipt)
