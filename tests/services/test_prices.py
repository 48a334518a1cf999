"""Prices that operators set, over a socket: from when they count, for whom, and what is none."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.fixtures.gateway import RunningGateway, StartGateway
from tests.fixtures.model_calls import alias, asked, model, names, prices, set_price, unit
from tests.fixtures.refusal import Refusal, invalid, refusal
from tests.fixtures.until import until
from tests.fixtures.upstream import Upstream
from trunkline.v1 import admin_pb2, models_pb2, usage_pb2
from trunkline_server.store.database import Database

NOT_FOUND = Refusal("NOT_FOUND", "RESOURCE_NOT_FOUND")


async def test_a_price_counts_from_the_next_call_on_and_stands_on_its_bill(gateway: RunningGateway) -> None:
    before = await asked(gateway, "sandbox/echo")
    price = await set_price(gateway, "sandbox/echo", unit("input", 1000), unit("output", 2000), source="a letter")
    after = await asked(gateway, "sandbox/echo")
    assert (after.price_version, after.charge.nanos) == (price.price_version, before.charge.nanos * 1000)
    assert before.price_version != price.price_version
    assert (await model(gateway, "sandbox/echo")).price == price
    assert [each.source for each in await prices(gateway, "sandbox/echo")] == ["built-in", "a letter"]


async def test_a_price_for_later_waits(gateway: RunningGateway) -> None:
    begin = datetime.now(UTC) + timedelta(days=1)
    later = await set_price(gateway, "sandbox/echo", unit("input", 5), unit("output", 5), begin=begin)
    assert later.effective_time.ToDatetime(UTC) == begin
    assert later.source.startswith("set by ")
    assert (await asked(gateway, "sandbox/echo")).price_version != later.price_version
    assert later in await prices(gateway, "sandbox/echo")


async def test_a_price_begins_at_its_moment(gateway: RunningGateway) -> None:
    begin = datetime.now(UTC) + timedelta(milliseconds=400)
    later = await set_price(gateway, "sandbox/echo", unit("input", 5), unit("output", 5), begin=begin)
    assert (await asked(gateway, "sandbox/echo")).price_version != later.price_version

    async def has_begun() -> bool:
        return (await asked(gateway, "sandbox/echo")).price_version == later.price_version

    await until(has_begun, 5)
    assert datetime.now(UTC) >= begin


async def test_a_model_without_a_price_is_refused_until_it_has_one(reaching: RunningGateway, openai: Upstream) -> None:
    unpriced = await refusal(asked(reaching, "openai/brand-new"))
    assert unpriced == Refusal("FAILED_PRECONDITION", "PRICE_UNKNOWN")
    await set_price(reaching, "openai/brand-new", unit("input", 1), unit("output", 2))
    openai.reply(json={"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]})
    assert (await asked(reaching, "openai/brand-new")).charge.nanos > 0
    assert "openai/brand-new" in await names(reaching, "openai")
    assert openai.requests[-1].json()["model"] == "brand-new"


async def test_higher_tiers_have_what_lower_ones_have(gateway: RunningGateway) -> None:
    tiers = (unit("input", 1), unit("output", 3), unit("input", 2, start=1000))
    told = {(each.from_input_tokens, each.unit): each for each in (await set_price(gateway, "sandbox/x", *tiers)).units}
    assert told[1000, "input"] == tiers[2]
    assert told[1000, "output"].per_million == tiers[1].per_million


async def test_other_replicas_hear_of_it(gateway: RunningGateway, start_gateway: StartGateway) -> None:
    other = await start_gateway()
    price = await set_price(gateway, "sandbox/echo", unit("input", 7), unit("output", 7))
    await alias(gateway, "fast", "sandbox/echo")

    async def has_heard() -> bool:
        return (await refusal(model(other, "fast"))).code == "OK"

    await until(has_heard, 5)
    assert (await model(other, "fast")).price == price


async def test_a_gateway_that_starts_knows_it(gateway: RunningGateway, start_gateway: StartGateway) -> None:
    price = await set_price(gateway, "sandbox/echo", unit("input", 7), unit("output", 7))
    assert (await model(await start_gateway(), "sandbox/echo")).price == price


async def test_a_row_that_is_no_price_leaves_everything_as_it_was(
    gateway: RunningGateway, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    price = await set_price(gateway, "sandbox/echo", unit("input", 7), unit("output", 7))
    await database.execute(
        "INSERT INTO price (provider, model, version, effective_time, tiers, source, set_by)"
        " VALUES ('sandbox', 'echo', 'v', now(), '[[5, {}]]', '', '')"
    )
    await until(lambda: "catalogue.kept" in caplog.text, 5)
    assert (await model(gateway, "sandbox/echo")).price == price


async def test_what_is_no_price(gateway: RunningGateway) -> None:
    one = unit("input", 1)
    euro = models_pb2.UnitPrice(unit="input", per_million=usage_pb2.Amount(unit="EUR", nanos=1))
    assert await refusal(set_price(gateway, "nobody/x", one)) == NOT_FOUND
    assert await refusal(set_price(gateway, "sandbox/*", one)) == invalid("model")
    assert await refusal(set_price(gateway, "sandbox/x")) == invalid("units")
    assert await refusal(set_price(gateway, "sandbox/x", unit("input", 1, start=5))) == invalid("units")
    assert await refusal(set_price(gateway, "sandbox/x", one, one)) == invalid("units[1].unit")
    assert await refusal(set_price(gateway, "sandbox/x", unit("In put", 1))) == invalid("units[0].unit")
    assert await refusal(set_price(gateway, "sandbox/x", euro)) == invalid("units[0].per_million.unit")
    assert await refusal(set_price(gateway, "sandbox/x", unit("input", -1))) == invalid("units[0].per_million.nanos")
    assert await refusal(set_price(gateway, "sandbox/x", unit("input", 1, start=-1))) == invalid(
        "units[0].from_input_tokens"
    )


async def test_a_price_may_begin_in_the_past(gateway: RunningGateway) -> None:
    past = datetime.now(UTC) - timedelta(hours=1)
    price = await set_price(gateway, "sandbox/x", unit("input", 1), begin=past)
    assert price.effective_time.ToDatetime(UTC) == past


async def test_it_takes_its_own_scope(gateway: RunningGateway) -> None:
    request = admin_pb2.CreateApiKeyRequest(name="reader", scopes=["models:read", "chat:*"])
    key = (await gateway.admin.CreateApiKey(request, metadata=gateway.metadata())).secret
    changes: list[Awaitable[Any]] = [
        gateway.models.SetPrice(models_pb2.SetPriceRequest(), metadata=gateway.metadata(key=key)),
        gateway.models.SetModelAlias(models_pb2.SetModelAliasRequest(), metadata=gateway.metadata(key=key)),
        gateway.models.DeleteModelAlias(models_pb2.DeleteModelAliasRequest(), metadata=gateway.metadata(key=key)),
        gateway.models.SyncModels(models_pb2.SyncModelsRequest(), metadata=gateway.metadata(key=key)),
    ]
    assert [(await refusal(change)).reason for change in changes] == ["SCOPE_MISSING"] * 4
