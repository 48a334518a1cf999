"""AnalyticsService over a socket: exact sums, by whatever one wants to know them by."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from tests.fixtures.gateway import RunningGateway, question
from tests.fixtures.refusal import invalid, refusal
from trunkline.v1 import admin_pb2, analytics_pb2, analytics_pb2_grpc, chat_pb2

DAY, USER, MODEL = (
    analytics_pb2.DIMENSION_DAY,
    analytics_pb2.DIMENSION_USER,
    analytics_pb2.DIMENSION_MODEL,
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
    seen: list[str] = []
    while True:
        page = await reader.stub.GetCosts(request, metadata=reader.gateway.metadata())
        seen += [row.group.user_id for row in page.rows]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert seen == ["ada", "bob", "cleo"]


async def test_another_tenants_calls_are_not_seen(reader: Reader) -> None:
    await reader.ask("ada", "word")
    admin, metadata = reader.gateway.admin, reader.gateway.metadata()
    tenant = (await admin.CreateTenant(admin_pb2.CreateTenantRequest(name="acme"), metadata=metadata)).tenant
    asked = admin_pb2.CreateApiKeyRequest(name="key", scopes=["analytics:read"], tenant_id=tenant.tenant_id)
    key = (await admin.CreateApiKey(asked, metadata=metadata)).secret
    assert await reader.costs(key) == []
