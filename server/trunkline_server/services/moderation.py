"""ModerationService."""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.v1 import moderation_pb2
from trunkline_server.core.call import Call
from trunkline_server.core.guard import policy
from trunkline_server.core.operation import Operation
from trunkline_server.gateway.errands import Errands
from trunkline_server.gateway.guards.policies import Policies


@dataclass(frozen=True)
class ModerationService:
    """Whether texts and pictures are harmful, and what a tenant keeps out of its calls."""

    errands: Errands
    policies: Policies

    async def moderate(self, call: Call, request: moderation_pb2.ModerateRequest) -> moderation_pb2.ModerateResponse:
        response: moderation_pb2.ModerateResponse = await self.errands.answer(call, Operation.MODERATION, request.input)
        return response

    async def get_guard_policy(
        self, call: Call, request: moderation_pb2.GetGuardPolicyRequest
    ) -> moderation_pb2.GetGuardPolicyResponse:
        found = await self.policies.table.find(call.caller.tenant_id)
        return moderation_pb2.GetGuardPolicyResponse(policy=found)

    async def set_guard_policy(
        self, call: Call, request: moderation_pb2.SetGuardPolicyRequest
    ) -> moderation_pb2.SetGuardPolicyResponse:
        policy.check(request.policy)
        await self.policies.table.set(call.caller.tenant_id, request.policy, call.caller.principal)
        await self.policies.refresh()
        return moderation_pb2.SetGuardPolicyResponse(policy=request.policy)
