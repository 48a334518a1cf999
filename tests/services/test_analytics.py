"""AnalyticsService over a socket: exact sums, by whatever one wants to know them by; reports; events of one's own."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from tests.fixtures.gateway import RunningGateway, question
from tests.fixtures.pages import pages
from tests.fixtures.refusal import invalid, refusal
from trunkline.v1 import admin_pb2, analytics_pb2, analytics_pb2_grpc, chat_pb2

DAY, USER, MODEL, HOUR, LABEL = (
    analytics_pb2.DIMENSION_DAY,
    analytics_pb2.DIMENSION_USER,
    analytics_pb2.DIMENSION_MODEL,
    analytics_pb2.DIMENSION_HOUR,
    analytics_pb2.DIMENSION_LABEL,
)


class Reader:
    """Asks a gateway, and asks about what was asked."""

    def __init__(self, gateway: RunningGateway) -> None:
        self.gateway = gateway
        self.stub: analytics_pb2_grpc.AnalyticsServiceAsyncStub = analytics_pb2_grpc.AnalyticsServiceStub(
            gateway.channel
        )

    async def ask(self, user: str, words: str, model: str = "sandbox/echo") -> chat_pb2.Completion:
        request = chat_pb2.CompleteRequest(input=question(words, model))
        return (await self.gateway.chat.Complete(request, metadata=self.gateway.metadata(user))).completion

    async def costs(self, key: str = "", **selection: Any) -> list[analytics_pb2.CostRow]:
        request = analytics_pb2.GetCostsRequest(selection=analytics_pb2.CallSelection(**selection))
        return list((await self.stub.GetCosts(request, metadata=self.gateway.metadata(key=key))).rows)

    async def performance(self, **selection: Any) -> list[analytics_pb2.PerformanceRow]:
        request = analytics_pb2.GetPerformanceRequest(selection=analytics_pb2.CallSelection(**selection))
        return list((await self.stub.GetPerformance(request, metadata=self.gateway.metadata())).rows)

    async def note(self, name: str, value: float | None = None, **more: Any) -> None:
        request = analytics_pb2.RecordEventRequest(name=name, value=value, **more)
        await self.stub.RecordEvent(request, metadata=self.gateway.metadata())

    async def report(self, format: str, **selection: Any) -> analytics_pb2.GetReportResponse:
        request = analytics_pb2.GetReportRequest(
            selection=analytics_pb2.CallSelection(**selection),
            format=analytics_pb2.ReportFormat.Value(f"REPORT_FORMAT_{format}"),
        )
        return await self.stub.GetReport(request, metadata=self.gateway.metadata())

    async def usage(self, **selection: Any) -> list[analytics_pb2.UsageRow]:
        request = analytics_pb2.GetUsageRequest(selection=analytics_pb2.CallSelection(**selection))
        return list((await self.stub.GetUsage(request, metadata=self.gateway.metadata())).rows)


@pytest.fixture
def reader(gateway: RunningGateway) -> Reader:
    return Reader(gateway)


async def test_sums_are_exact(reader: Reader) -> None:
    bills = [await reader.ask("ada", "one two three"), await reader.ask("bob", "one"), await reader.ask("ada", "two")]
    (costs,), (usage,) = await reader.costs(), await reader.usage()
    assert (costs.call_count, usage.call_count, usage.reported_count, usage.failed_count) == (3, 3, 3, 0)
    assert costs.charge.nanos == sum(bill.charge.nanos for bill in bills) > 0
    assert costs.cost.nanos == sum(bill.cost.nanos for bill in bills)
    assert usage.usage.input_tokens == sum(bill.usage.input_tokens for bill in bills)
    assert usage.usage.output_tokens == sum(bill.usage.output_tokens for bill in bills)
    assert costs.group == analytics_pb2.Group()


async def test_a_row_for_each_user_and_model(reader: Reader) -> None:
    for user, model in (("bob", "echo"), ("ada", "free"), ("ada", "echo"), ("ada", "echo")):
        await reader.ask(user, "word", f"sandbox/{model}")
    rows = await reader.costs(group_by=[USER, MODEL])
    told = [(row.group.user_id, row.group.provider, row.group.model, row.call_count) for row in rows]
    assert told == [("ada", "sandbox", "echo", 2), ("ada", "sandbox", "free", 1), ("bob", "sandbox", "echo", 1)]
    (today,) = await reader.costs(group_by=[DAY], user_id="ada", model="echo")
    assert (today.group.day, today.call_count) == (f"{datetime.now(UTC):%Y-%m-%d}", 2)


async def test_only_the_time_that_is_asked_for(reader: Reader) -> None:
    await reader.ask("ada", "word")
    now = datetime.now(UTC)
    later = Timestamp()
    later.FromDatetime(now + timedelta(days=1))
    assert await reader.costs(start_time=later, end_time=later) == []
    assert await refusal(reader.costs(start_time=later)) == invalid("selection.start_time")
    assert await refusal(reader.costs(group_by=[0])) == invalid("selection.group_by[0]")


async def test_pages_go_on_where_the_last_one_ended(reader: Reader) -> None:
    for user in ("ada", "bob", "cleo"):
        await reader.ask(user, "word")
    request = analytics_pb2.GetCostsRequest(selection=analytics_pb2.CallSelection(group_by=[USER]), page_size=2)
    told = pages(reader.stub.GetCosts, request, reader.gateway.metadata())
    seen = [row.group.user_id async for page in told for row in page.rows]
    assert seen == ["ada", "bob", "cleo"]


async def test_another_tenants_calls_are_not_seen(reader: Reader) -> None:
    await reader.ask("ada", "word")
    admin, metadata = reader.gateway.admin, reader.gateway.metadata()
    tenant = (await admin.CreateTenant(admin_pb2.CreateTenantRequest(name="acme"), metadata=metadata)).tenant
    asked = admin_pb2.CreateApiKeyRequest(name="key", scopes=["analytics:read"], tenant_id=tenant.tenant_id)
    key = (await admin.CreateApiKey(asked, metadata=metadata)).secret
    assert await reader.costs(key) == []


async def test_how_calls_went_with_those_that_failed(reader: Reader) -> None:
    for _ in range(3):
        await reader.ask("ada", "one two")
    with pytest.raises(grpc.aio.AioRpcError):
        await reader.ask("ada", "word", "sandbox/broken")
    (row,) = await reader.performance()
    assert (row.call_count, row.failed_count, row.cancelled_count) == (4, 1, 0)
    assert (row.success_rate, row.error_rate) == (0.75, 0.25)
    assert row.attempt_count >= 4
    latency = row.duration
    assert latency.count == 3
    assert 0 < latency.p50.ToMicroseconds() <= latency.p95.ToMicroseconds() <= latency.p99.ToMicroseconds()
    assert latency.average.ToMicroseconds() > 0
    assert row.tokens_per_second > 0
    by_model = await reader.performance(group_by=[MODEL, HOUR])
    assert [(each.group.model, each.failed_count, each.duration.count) for each in by_model] == [
        ("broken", 1, 0),
        ("echo", 0, 3),
    ]
    assert {each.group.hour for each in by_model} <= {
        f"{datetime.now(UTC) - timedelta(hours=n):%Y-%m-%dT%H}" for n in (0, 1)
    }
    assert not any(each.group.day for each in by_model)


async def test_the_first_word_is_timed_where_it_is_streamed(reader: Reader) -> None:
    request = chat_pb2.StreamRequest(input=question("one two three"))
    async for _ in reader.gateway.chat.Stream(request, metadata=reader.gateway.metadata()):
        pass
    (row,) = await reader.performance()
    assert row.call_count == 1
    assert row.first_token.count <= row.duration.count == 1


async def test_calls_are_told_apart_by_a_label(reader: Reader) -> None:
    for team in ("red", "blue", "red"):
        asked = chat_pb2.CompleteRequest(input=question("word", labels={"team": team}))
        await reader.gateway.chat.Complete(asked, metadata=reader.gateway.metadata())
    rows = await reader.costs(group_by=[LABEL], label="team")
    assert [(row.group.label, row.call_count) for row in rows] == [("blue", 1), ("red", 2)]
    (only,) = await reader.costs(labels={"team": "red"})
    assert only.call_count == 2
    assert await reader.costs(labels={"team": "green"}) == []
    assert await refusal(reader.costs(group_by=[LABEL])) == invalid("selection.label")


async def test_what_goes_on_now(reader: Reader) -> None:
    bill = await reader.ask("ada", "one two three")
    await reader.ask("ada", "word", "sandbox/free")
    await reader.ask("ada", "word", "sandbox/free")
    now = await reader.stub.GetRealtime(analytics_pb2.GetRealtimeRequest(), metadata=reader.gateway.metadata())
    assert (now.all.call_count, now.held_count, now.window.seconds) == (3, 0, 60)
    assert [(row.group.model, row.call_count) for row in now.models] == [("free", 2), ("echo", 1)]
    assert now.charge.nanos == bill.charge.nanos
    assert now.token_count > 0


async def test_reports(reader: Reader) -> None:
    bill = await reader.ask("=ada<b>", "one two three")
    await reader.note("answer.liked", 2.5)
    plain = await reader.report("UNSPECIFIED", group_by=[USER])
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    (row,) = plain.rows
    assert (row.start_day, row.group.user_id, row.call_count, row.group.day) == (today, "=ada<b>", 1, "")
    assert row.charge == plain.charge == bill.charge
    assert (plain.all.call_count, plain.is_cut, plain.document) == (1, False, b"")
    assert [(each.name, each.count, each.value) for each in plain.events] == [("answer.liked", 1, 2.5)]
    told = json.loads((await reader.report("JSON", group_by=[USER])).document)
    assert (told["calls"], told["rows"][0]["user_id"], told["events"][0]["value"]) == (1, "=ada<b>", 2.5)
    assert told["rows"][0]["charge_credits"] == told["charge_credits"]
    (line,) = csv.DictReader(io.StringIO((await reader.report("CSV", group_by=[USER])).document.decode()))
    assert (line["user_id"], line["calls"], line["charge_credits"]) == ("'=ada<b>", "1", told["charge_credits"])
    assert await refusal(reader.report("CSV", group_by=[DAY])) == invalid("selection.group_by")


async def test_the_page_of_a_report_needs_nothing_from_elsewhere(reader: Reader) -> None:
    await reader.ask("<script>alert(1)</script>", "one two three")
    page = await reader.report("HTML", group_by=[USER, MODEL])
    assert page.media_type.startswith("text/html")
    seen = Seen()
    seen.feed(page.document.decode())
    assert seen.tags >= {"svg", "rect", "table", "style"}
    assert not seen.tags & {"script", "link", "img", "iframe"}
    assert not seen.attributes & {"src", "href", "onload"}
    assert "<script>alert(1)</script>" in seen.text


@pytest.mark.parametrize(("period", "start"), [("WEEK", "%Y-%m-%d"), ("MONTH", "%Y-%m-01")])
async def test_a_report_by_longer_periods(reader: Reader, period: str, start: str) -> None:
    await reader.ask("ada", "word")
    request = analytics_pb2.GetReportRequest(period=analytics_pb2.ReportPeriod.Value(f"REPORT_PERIOD_{period}"))
    (row,) = (await reader.stub.GetReport(request, metadata=reader.gateway.metadata())).rows
    now = datetime.now(UTC)
    monday = now - timedelta(days=now.weekday())
    assert row.start_day == (monday if period == "WEEK" else now).strftime(start)


async def test_an_event_happens_once(reader: Reader) -> None:
    for _ in range(2):
        await reader.note("sold", 10, request_id="sale-1")
    await reader.note("sold")
    (sum_,) = (await reader.report("UNSPECIFIED")).events
    assert (sum_.name, sum_.count, sum_.value) == ("sold", 2, 11.0)
    assert await refusal(reader.note("so\nld")) == invalid("name")
    assert await refusal(reader.note("")) == invalid("name")


class Seen(HTMLParser):
    """The elements, attributes and texts of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data
