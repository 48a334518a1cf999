"""LimitService: how much a tenant's callers may use, as operators set it and as callers see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp

from trunkline.v1 import limits_pb2
from trunkline_server.core.budget import Budget
from trunkline_server.core.budget_request import budget_of, told_budget, told_window
from trunkline_server.core.call import Call
from trunkline_server.core.limit_request import rate_limit_of, told_rate_limit
from trunkline_server.core.limiting import Algorithm
from trunkline_server.core.page_token import PageTokens
from trunkline_server.core.rate_limit import Subject
from trunkline_server.core.text import readable
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
        await self.limiter.book.rate_limits.delete(call.caller.tenant_id, readable("name", request.name))
        await self.limiter.book.refresh()
        return limits_pb2.DeleteRateLimitResponse()

    async def set_budget(self, call: Call, request: limits_pb2.SetBudgetRequest) -> limits_pb2.SetBudgetResponse:
        budget = budget_of(call.caller.tenant_id, request.budget)
        await self.limiter.book.budgets.set(budget, call.caller.principal)
        await self.limiter.book.refresh()
        return limits_pb2.SetBudgetResponse(budget=told_budget(budget))

    async def list_budgets(self, call: Call, request: limits_pb2.ListBudgetsRequest) -> limits_pb2.ListBudgetsResponse:
        paging = self.tokens.paging(call.caller.tenant_id, request)
        budgets = self.limiter.book.budgets_of(call.caller.tenant_id)
        rows = [budget for budget in budgets if not paging.cursor or budget.name > paging.cursor[0]]
        page, token = paging.cut(rows, lambda budget: (budget.name,))
        windows = await self._windows(call, page)
        return limits_pb2.ListBudgetsResponse(budgets=map(told_budget, page), next_page_token=token, windows=windows)

    async def delete_budget(
        self, call: Call, request: limits_pb2.DeleteBudgetRequest
    ) -> limits_pb2.DeleteBudgetResponse:
        await self.limiter.book.budgets.delete(call.caller.tenant_id, readable("name", request.name))
        await self.limiter.book.refresh()
        return limits_pb2.DeleteBudgetResponse()

    async def get_quota(self, call: Call, request: limits_pb2.GetQuotaRequest) -> limits_pb2.GetQuotaResponse:
        subject = Subject(
            user_id=request.user_id or call.user_id,
            key_id=request.key_id or call.caller.principal,
            provider=request.provider,
            model=request.model,
            team=request.team,
        )
        quotas = await self.limiter.quotas(call.caller.tenant_id, subject)
        budgets = self.limiter.book.budgets_of(call.caller.tenant_id)
        return limits_pb2.GetQuotaResponse(
            rate_quotas=map(_rate_quota, quotas),
            budget_windows=await self._windows(call, budgets, subject),
            degraded=self.limiter.degraded,
        )

    async def _windows(
        self, call: Call, budgets: Sequence[Budget], subject: Subject | None = None
    ) -> list[limits_pb2.BudgetWindow]:
        """What was spent of budgets; with a subject, only where its spending counts."""
        by_name = {budget.name: budget for budget in budgets}
        if not by_name:
            return []
        windows = await self.limiter.book.budgets.windows(call.caller.tenant_id, list(by_name))
        return [
            told_window(by_name[window.budget], window)
            for window in windows
            if subject is None or by_name[window.budget].selector.of(subject) == window.subject
        ]


def _rate_quota(quota: Quota) -> limits_pb2.RateQuota:
    told = limits_pb2.RateQuota(rate_limit=told_rate_limit(quota.limit), remaining=quota.look.remaining)
    if quota.limit.algorithm is not Algorithm.LEASES:
        refill_time = Timestamp()
        refill_time.FromMicroseconds(quota.now_us + quota.look.refill_us)
        told.refill_time.CopyFrom(refill_time)
    return told
