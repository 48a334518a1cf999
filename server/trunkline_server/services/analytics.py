"""AnalyticsService: which calls are meant, and their sums in the words of the contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from trunkline.v1 import analytics_pb2, usage_pb2
from trunkline_server.core import money
from trunkline_server.core.call import Call
from trunkline_server.core.errors import invalid
from trunkline_server.core.moment import moment_of
from trunkline_server.core.page_token import PageTokens
from trunkline_server.core.text import readable
from trunkline_server.store.database import Database
from trunkline_server.store.usage_sums import Selection, Sum, sums

DAYS_DEFAULT: Final = 30

_COLUMNS: Final[Mapping[analytics_pb2.Dimension.ValueType, tuple[str, ...]]] = {
    analytics_pb2.DIMENSION_DAY: ("day",),
    analytics_pb2.DIMENSION_USER: ("user_id",),
    analytics_pb2.DIMENSION_PROVIDER: ("provider",),
    analytics_pb2.DIMENSION_MODEL: ("provider", "model"),
    analytics_pb2.DIMENSION_OPERATION: ("operation",),
    analytics_pb2.DIMENSION_KEY: ("key_id",),
}


@dataclass(frozen=True)
class AnalyticsService:
    """Reads the rows that calls leave behind; a page goes on at a row's number."""

    database: Database
    tokens: PageTokens

    async def get_usage(self, call: Call, request: analytics_pb2.GetUsageRequest) -> analytics_pb2.GetUsageResponse:
        page, token = await self._sums(call, request)
        return analytics_pb2.GetUsageResponse(rows=map(_usage, page), next_page_token=token)

    async def get_costs(self, call: Call, request: analytics_pb2.GetCostsRequest) -> analytics_pb2.GetCostsResponse:
        page, token = await self._sums(call, request)
        return analytics_pb2.GetCostsResponse(rows=map(_costs, page), next_page_token=token)

    async def _sums(
        self, call: Call, request: analytics_pb2.GetUsageRequest | analytics_pb2.GetCostsRequest
    ) -> tuple[list[Sum], str]:
        tenant_id = call.caller.tenant_id
        paging = self.tokens.paging(tenant_id, request)
        offset = int(paging.cursor[0]) if paging.cursor else 0
        end = datetime.fromisoformat(paging.cursor[1]) if paging.cursor else datetime.now(UTC)
        selection = _selection(call, request.selection, end)
        rows = await sums(self.database, selection, paging.limit, offset)
        numbered = list(enumerate(rows, offset + 1))
        page, token = paging.cut(numbered, lambda row: (row[0], end.isoformat()))
        return [row for _, row in page], token


def _selection(call: Call, asked: analytics_pb2.CallSelection, now: datetime) -> Selection:
    end = moment_of("selection.end_time", asked.end_time) if asked.HasField("end_time") else now
    start = end - timedelta(days=DAYS_DEFAULT)
    if asked.HasField("start_time"):
        start = moment_of("selection.start_time", asked.start_time)
    if start > end:
        raise invalid("selection.start_time", "is after the end")
    by = [column for dimension in asked.group_by for column in _COLUMNS[dimension]]
    fields = ("user_id", "provider", "model", "operation")
    texts = {name: readable(f"selection.{name}", getattr(asked, name)) for name in fields}
    return Selection(call.caller.tenant_id, start, end, **texts, by=tuple(by))


def _group(row: Sum) -> analytics_pb2.Group:
    return analytics_pb2.Group(
        day=row.day,
        user_id=row.user_id,
        provider=row.provider,
        model=row.model,
        operation=row.operation,
        key_id=row.key_id,
    )


def _usage(row: Sum) -> analytics_pb2.UsageRow:
    usage = usage_pb2.Usage(
        input_tokens=row.input_tokens,
        cached_input_tokens=row.cached_input_tokens,
        cache_write_input_tokens=row.cache_write_input_tokens,
        output_tokens=row.output_tokens,
        reasoning_output_tokens=row.reasoning_output_tokens,
    )
    return analytics_pb2.UsageRow(
        group=_group(row), call_count=row.calls, failed_count=row.failed, usage=usage, reported_count=row.reported
    )


def _costs(row: Sum) -> analytics_pb2.CostRow:
    return analytics_pb2.CostRow(
        group=_group(row),
        call_count=row.calls,
        cost=money.usd(row.cost_nano_usd),
        charge=money.credits(row.charge_nanos),
        repriced=money.credits(row.repriced_nanos),
    )
