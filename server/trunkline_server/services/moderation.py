"""ModerationService."""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.v1 import moderation_pb2
from trunkline_server.core.call import Call
from trunkline_server.core.operation import Operation
from trunkline_server.gateway.errands import Errands


@dataclass(frozen=True)
class ModerationService:
    """Whether texts and pictures are harmful."""

    errands: Errands

    async def moderate(self, call: Call, request: moderation_pb2.ModerateRequest) -> moderation_pb2.ModerateResponse:
        run = await self.errands.do(call, Operation.MODERATION, request.input)
        response: moderation_pb2.ModerateResponse = run.product.body
        response.receipt.CopyFrom(run.receipt())
        return response
