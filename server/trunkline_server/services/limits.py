"""LimitService: how much a tenant's callers may use, as operators set it and as callers see it."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp

from trunkline.v1 import limits_pb2
from trunkline_server.core.call import Call
from trunkline_server.core.limit_request import rate_limit_of, told_rate_limit
from trunkline_server.core.limiting import Algorithm
from trunkline_server.core.page_token import PageTokens
from trunkline_server.core.rate_limit import Subject
from trunkline_server.gateway.limits.limiter import Limiter, Quota


@dataclass(frozen=True)
class LimitService:
    """Who has changed something sees it changed at once; other replicas hear of it."""

    limiter: Limiter
    tokens: PageTokens

    async def set_rate_limit(
        self, call: Call, request: limits_pb2.SetRateLimitRequest
    ) -> limits_pb2.SetRateLimitResponse:
        limit = rate_limit_of(call.caller.tenant_id, request.rate_limit)
        await self.limiter.book.rate_limits.set(limit, call.caller.principal)
        await self.limiter.book.refresh()
        return limits_pb2.SetRateLimitResponse(rate_limit=told_rate_limit(limit))

    async def list_rate_limits(
        self, call: Call, request: limits_pb2.ListRateLimitsRequest
    ) -> limits_pb2.ListRateLimitsResponse:
        paging = self.tokens.paging(call.caller.tenant_id, request)
        rates = self.limiter.book.rates(call.caller.tenant_id)
        rows = [limit for limit in rates if not paging.cursor or limit.name > paging.cursor[0]]
        page, token = paging.cut(rows, lambda limit: (limit.name,))
        return limits_pb2.ListRateLimitsResponse(rate_limits=map(told_rate_limit, page), next_page_token=token)

    async def delete_rate_limit(
        self, call: Call, request: limits_pb2.DeleteRateLimitRequest
    ) -> limits_pb2.DeleteRateLimitResponse:
        await self.limiter.book.rate_limits.delete(call.caller.tenant_id, request.name)
        await self.limiter.book.refresh()
        return limits_pb2.DeleteRateLimitResponse()

    async def get_quota(self, call: Call, request: limits_pb2.GetQuotaRequest) -> limits_pb2.GetQuotaResponse:
        subject = Subject(
            user_id=request.user_id or call.user_id,
            key_id=request.key_id or call.caller.principal,
            provider=request.provider,
            model=request.model,
            team=request.team,
        )
        quotas = await self.limiter.quotas(call.caller.tenant_id, subject)
        return limits_pb2.GetQuotaResponse(rate_quotas=map(_rate_quota, quotas), degraded=self.limiter.degraded)


def _rate_quota(quota: Quota) -> limits_pb2.RateQuota:
    told = limits_pb2.RateQuota(rate_limit=told_rate_limit(quota.limit), remaining=quota.look.remaining)
    if quota.limit.algorithm is not Algorithm.LEASES:
        refill_time = Timestamp()
        refill_time.FromMicroseconds(quota.now_us + quota.look.refill_us)
        told.refill_time.CopyFrom(refill_time)
    return told
