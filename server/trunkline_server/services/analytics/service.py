"""AnalyticsService: sums over calls, how they went, reports, and events of tenants' own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from trunkline.v1 import analytics_pb2
from trunkline_server.core import money
from trunkline_server.core.call import Call
from trunkline_server.core.errors import invalid
from trunkline_server.core.moment import timestamp
from trunkline_server.core.page_token import PageTokens
from trunkline_server.core.report.document import written
from trunkline_server.core.text import readable
from trunkline_server.services.analytics.rows import cost_row, performance_row, report_row, usage_row
from trunkline_server.services.analytics.selection import selected
from trunkline_server.store.custom_events import CustomEvents
from trunkline_server.store.database import Database
from trunkline_server.store.usage_sums import Selection, Span, Sum, held_count, sums

REPORT_ROWS_MAX: Final = 5000
REALTIME_MODELS_MAX: Final = 20
REALTIME_WINDOW: Final = timedelta(minutes=1)

_TIMES: Final = ("hour", "day")
_PERIODS: Final = {
    analytics_pb2.REPORT_PERIOD_UNSPECIFIED: "day",
    analytics_pb2.REPORT_PERIOD_DAY: "day",
    analytics_pb2.REPORT_PERIOD_WEEK: "week",
    analytics_pb2.REPORT_PERIOD_MONTH: "month",
}
_Paged: TypeAlias = analytics_pb2.GetUsageRequest | analytics_pb2.GetCostsRequest | analytics_pb2.GetPerformanceRequest


@dataclass(frozen=True)
class AnalyticsService:
    """Reads what calls leave behind; a page goes on at a row's number."""

    database: Database
    tokens: PageTokens
    events: CustomEvents

    async def get_usage(self, call: Call, request: analytics_pb2.GetUsageRequest) -> analytics_pb2.GetUsageResponse:
        page, token = await self._page(call, request)
        return analytics_pb2.GetUsageResponse(rows=map(usage_row, page), next_page_token=token)

    async def get_costs(self, call: Call, request: analytics_pb2.GetCostsRequest) -> analytics_pb2.GetCostsResponse:
        page, token = await self._page(call, request)
        return analytics_pb2.GetCostsResponse(rows=map(cost_row, page), next_page_token=token)

    async def get_performance(
        self, call: Call, request: analytics_pb2.GetPerformanceRequest
    ) -> analytics_pb2.GetPerformanceResponse:
        page, token = await self._page(call, request, paced=True)
        return analytics_pb2.GetPerformanceResponse(rows=map(performance_row, page), next_page_token=token)

    async def get_realtime(
        self, call: Call, request: analytics_pb2.GetRealtimeRequest
    ) -> analytics_pb2.GetRealtimeResponse:
        now = datetime.now(UTC)
        window = request.window.ToTimedelta() if request.HasField("window") else REALTIME_WINDOW
        whole = Selection(call.caller.tenant_id, Span(now - window, now), paced=True)
        total = await self._whole(whole)
        models = await sums(self.database, whole._replace(by=("provider", "model")), REPORT_ROWS_MAX)
        told = analytics_pb2.GetRealtimeResponse(
            time=timestamp(now),
            held_count=await held_count(self.database, whole.tenant_id),
            all=performance_row(total),
            models=map(performance_row, sorted(models, key=lambda row: -row.calls)[:REALTIME_MODELS_MAX]),
            cost=money.usd(total.cost_nano_usd),
            charge=money.credits(total.charge_nanos),
            token_count=total.input_tokens + total.output_tokens,
        )
        told.window.FromTimedelta(window)
        return told

    async def get_report(self, call: Call, request: analytics_pb2.GetReportRequest) -> analytics_pb2.GetReportResponse:
        now = datetime.now(UTC)
        whole = selected(call, request.selection, now)
        if any(each in _TIMES for each in whole.by):
            raise invalid("selection.group_by", "must not name a time: `period` does")
        by_period = whole._replace(by=(_PERIODS[request.period], *whole.by))
        rows = await sums(self.database, by_period, REPORT_ROWS_MAX + 1)
        total = await self._whole(whole._replace(by=(), paced=True))
        events = await self.events.sums(whole.tenant_id, whole.span, whole.user_id)
        report = analytics_pb2.GetReportResponse(
            rows=map(report_row, rows[:REPORT_ROWS_MAX]),
            is_cut=len(rows) > REPORT_ROWS_MAX,
            all=performance_row(total),
            cost=money.usd(total.cost_nano_usd),
            charge=money.credits(total.charge_nanos),
            events=[
                analytics_pb2.CustomEventSum(name=each.name, count=each.times, value=each.value) for each in events
            ],
        )
        report.media_type, report.document = written(report, request.format, *whole.span)
        return report

    async def record_event(
        self, call: Call, request: analytics_pb2.RecordEventRequest
    ) -> analytics_pb2.RecordEventResponse:
        for key, text in request.labels.items():
            readable("labels", key + text)
        noted = await self.events.record(
            call.caller.tenant_id,
            readable("user_id", request.user_id) or call.user_id,
            readable("name", request.name),
            request.value if request.HasField("value") else 1.0,
            dict(request.labels),
        )
        return analytics_pb2.RecordEventResponse(create_time=timestamp(noted))

    async def _page(self, call: Call, request: _Paged, *, paced: bool = False) -> tuple[Sequence[Sum], str]:
        paging = self.tokens.paging(call.caller.tenant_id, request)
        offset = int(paging.cursor[0]) if paging.cursor else 0
        end = datetime.fromisoformat(paging.cursor[1]) if paging.cursor else datetime.now(UTC)
        selection = selected(call, request.selection, end, paced=paced)
        rows = await sums(self.database, selection, paging.limit, offset)
        numbered = list(enumerate(rows, offset + 1))
        page, token = paging.cut(numbered, lambda row: (row[0], end.isoformat()))
        return [row for _, row in page], token

    async def _whole(self, selection: Selection) -> Sum:
        """All of the calls as one, which may be none."""
        return next(iter(await sums(self.database, selection, 1)), Sum())
