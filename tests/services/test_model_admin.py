"""What operators say about models, over a socket: prices, aliases, and what providers offer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.fixtures.gateway import RunningGateway, StartGateway, question
from tests.fixtures.refusal import Refusal, invalid, refusal
from tests.fixtures.until import until
from tests.fixtures.upstream import Upstream
from trunkline.v1 import admin_pb2, chat_pb2, models_pb2, usage_pb2
from trunkline_server.store.database import Database

KEY = "sk-secret-of-the-gateway"
NOT_FOUND = Refusal("NOT_FOUND", "RESOURCE_NOT_FOUND")


@pytest.fixture
async def openai() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        yield upstream


@pytest.fixture
async def reaching(start_gateway: StartGateway, openai: Upstream) -> RunningGateway:
    """A gateway whose `openai` is the scripted upstream."""
    return await start_gateway({"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"{openai.url}/v1"})


def unit(name: str, dollars: int, start: int = 0) -> models_pb2.UnitPrice:
    amount = usage_pb2.Amount(unit="USD", nanos=dollars * 1_000_000_000)
    return models_pb2.UnitPrice(unit=name, per_million=amount, from_input_tokens=start)


async def set_price(gateway: RunningGateway, model: str, *units: models_pb2.UnitPrice, **more: Any) -> models_pb2.Price:
    begin = more.pop("begin", None)
    provider, _, name = model.partition("/")
    request = models_pb2.SetPriceRequest(provider=provider, model=name, units=units, **more)
    if begin is not None:
        request.effective_time.FromDatetime(begin)
    return (await gateway.models.SetPrice(request, metadata=gateway.metadata())).price


async def alias(gateway: RunningGateway, name: str, *models: str) -> models_pb2.ModelAlias:
    request = models_pb2.SetModelAliasRequest(alias=name, models=models)
    return (await gateway.models.SetModelAlias(request, metadata=gateway.metadata())).alias


async def unalias(gateway: RunningGateway, name: str) -> None:
    request = models_pb2.DeleteModelAliasRequest(alias=name)
    await gateway.models.DeleteModelAlias(request, metadata=gateway.metadata())


async def model(gateway: RunningGateway, name: str, key: str = "") -> models_pb2.Model:
    request = models_pb2.GetModelRequest(name=name)
    return (await gateway.models.GetModel(request, metadata=gateway.metadata(key=key))).model


async def names(gateway: RunningGateway, provider: str) -> list[str]:
    request = models_pb2.ListModelsRequest(provider=provider, page_size=1000)
    return [each.name for each in (await gateway.models.ListModels(request, metadata=gateway.metadata())).models]


async def prices(gateway: RunningGateway, name: str) -> list[models_pb2.Price]:
    provider, _, wanted = name.partition("/")
    request = models_pb2.ListPricesRequest(provider=provider, page_size=1000)
    listed = (await gateway.models.ListPrices(request, metadata=gateway.metadata())).prices
    return [each for each in listed if each.model == wanted]


async def asked(gateway: RunningGateway, name: str, user: str = "ada") -> chat_pb2.Completion:
    request = chat_pb2.CompleteRequest(input=question("hello", name))
    return (await gateway.chat.Complete(request, metadata=gateway.metadata(user))).completion


async def sync(gateway: RunningGateway, provider: str = "") -> dict[str, models_pb2.SyncedProvider]:
    request = models_pb2.SyncModelsRequest(provider=provider)
    answer = await gateway.models.SyncModels(request, metadata=gateway.metadata())
    return {each.provider: each for each in answer.providers}


def offers(upstream: Upstream, *models: str) -> None:
    upstream.reply(json={"object": "list", "data": [{"id": name} for name in models]})


class TestPrices:
    async def test_a_price_counts_from_the_next_call_on_and_stands_on_its_bill(self, gateway: RunningGateway) -> None:
        before = await asked(gateway, "sandbox/echo")
        price = await set_price(gateway, "sandbox/echo", unit("input", 1000), unit("output", 2000), source="a letter")
        after = await asked(gateway, "sandbox/echo")
        assert (after.price_version, after.charge.nanos) == (price.price_version, before.charge.nanos * 1000)
        assert before.price_version != price.price_version
        assert (await model(gateway, "sandbox/echo")).price == price
        assert [each.source for each in await prices(gateway, "sandbox/echo")] == ["built-in", "a letter"]

    async def test_a_price_for_later_waits(self, gateway: RunningGateway) -> None:
        begin = datetime.now(UTC) + timedelta(days=1)
        later = await set_price(gateway, "sandbox/echo", unit("input", 5), unit("output", 5), begin=begin)
        assert later.effective_time.ToDatetime(UTC) == begin
        assert later.source.startswith("set by ")
        assert (await asked(gateway, "sandbox/echo")).price_version != later.price_version
        assert later in await prices(gateway, "sandbox/echo")

    async def test_a_price_begins_at_its_moment(self, gateway: RunningGateway) -> None:
        begin = datetime.now(UTC) + timedelta(milliseconds=400)
        later = await set_price(gateway, "sandbox/echo", unit("input", 5), unit("output", 5), begin=begin)
        assert (await asked(gateway, "sandbox/echo")).price_version != later.price_version

        async def has_begun() -> bool:
            return (await asked(gateway, "sandbox/echo")).price_version == later.price_version

        await until(has_begun, 5)
        assert datetime.now(UTC) >= begin

    async def test_a_model_without_a_price_is_refused_until_it_has_one(
        self, reaching: RunningGateway, openai: Upstream
    ) -> None:
        unpriced = await refusal(asked(reaching, "openai/brand-new"))
        assert unpriced == Refusal("FAILED_PRECONDITION", "PRICE_UNKNOWN")
        await set_price(reaching, "openai/brand-new", unit("input", 1), unit("output", 2))
        openai.reply(json={"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]})
        assert (await asked(reaching, "openai/brand-new")).charge.nanos > 0
        assert "openai/brand-new" in await names(reaching, "openai")
        assert openai.requests[-1].json()["model"] == "brand-new"

    async def test_higher_tiers_have_what_lower_ones_have(self, gateway: RunningGateway) -> None:
        tiers = (unit("input", 1), unit("output", 3), unit("input", 2, start=1000))
        told = {
            (each.from_input_tokens, each.unit): each for each in (await set_price(gateway, "sandbox/x", *tiers)).units
        }
        assert told[1000, "input"] == tiers[2]
        assert told[1000, "output"].per_million == tiers[1].per_million

    async def test_other_replicas_hear_of_it(self, gateway: RunningGateway, start_gateway: StartGateway) -> None:
        other = await start_gateway()
        price = await set_price(gateway, "sandbox/echo", unit("input", 7), unit("output", 7))
        await alias(gateway, "fast", "sandbox/echo")

        async def has_heard() -> bool:
            return (await refusal(model(other, "fast"))).code == "OK"

        await until(has_heard, 5)
        assert (await model(other, "fast")).price == price

    async def test_a_gateway_that_starts_knows_it(self, gateway: RunningGateway, start_gateway: StartGateway) -> None:
        price = await set_price(gateway, "sandbox/echo", unit("input", 7), unit("output", 7))
        assert (await model(await start_gateway(), "sandbox/echo")).price == price

    async def test_a_row_that_is_no_price_leaves_everything_as_it_was(
        self, gateway: RunningGateway, database: Database, caplog: pytest.LogCaptureFixture
    ) -> None:
        price = await set_price(gateway, "sandbox/echo", unit("input", 7), unit("output", 7))
        await database.execute(
            "INSERT INTO price (provider, model, version, effective_time, tiers, source, set_by)"
            " VALUES ('sandbox', 'echo', 'v', now(), '[[5, {}]]', '', '')"
        )
        await until(lambda: "catalogue.kept" in caplog.text, 5)
        assert (await model(gateway, "sandbox/echo")).price == price

    async def test_what_is_no_price(self, gateway: RunningGateway) -> None:
        one = unit("input", 1)
        past = datetime.now(UTC) - timedelta(hours=1)
        euro = models_pb2.UnitPrice(unit="input", per_million=usage_pb2.Amount(unit="EUR", nanos=1))
        assert await refusal(set_price(gateway, "nobody/x", one)) == NOT_FOUND
        assert await refusal(set_price(gateway, "sandbox/*", one)) == invalid("model")
        assert await refusal(set_price(gateway, "sandbox/x")) == invalid("units")
        assert await refusal(set_price(gateway, "sandbox/x", unit("input", 1, start=5))) == invalid("units")
        assert await refusal(set_price(gateway, "sandbox/x", one, one)) == invalid("units[1].unit")
        assert await refusal(set_price(gateway, "sandbox/x", unit("In put", 1))) == invalid("units[0].unit")
        assert await refusal(set_price(gateway, "sandbox/x", euro)) == invalid("units[0].per_million.unit")
        assert await refusal(set_price(gateway, "sandbox/x", unit("input", -1))) == invalid(
            "units[0].per_million.nanos"
        )
        assert await refusal(set_price(gateway, "sandbox/x", unit("input", 1, start=-1))) == invalid(
            "units[0].from_input_tokens"
        )
        assert await refusal(set_price(gateway, "sandbox/x", one, begin=past)) == invalid("effective_time")

    async def test_it_takes_its_own_scope(self, gateway: RunningGateway) -> None:
        request = admin_pb2.CreateApiKeyRequest(name="reader", scopes=["models:read", "chat:*"])
        key = (await gateway.admin.CreateApiKey(request, metadata=gateway.metadata())).secret
        changes: list[Awaitable[Any]] = [
            gateway.models.SetPrice(models_pb2.SetPriceRequest(), metadata=gateway.metadata(key=key)),
            gateway.models.SetModelAlias(models_pb2.SetModelAliasRequest(), metadata=gateway.metadata(key=key)),
            gateway.models.DeleteModelAlias(models_pb2.DeleteModelAliasRequest(), metadata=gateway.metadata(key=key)),
            gateway.models.SyncModels(models_pb2.SyncModelsRequest(), metadata=gateway.metadata(key=key)),
        ]
        assert [(await refusal(change)).reason for change in changes] == ["SCOPE_MISSING"] * 4


class TestAliases:
    async def test_an_alias_is_a_name_of_a_model(self, gateway: RunningGateway) -> None:
        assert (await alias(gateway, "fast", "sandbox/echo")).models == ["sandbox/echo"]
        assert (await asked(gateway, "fast")).model == "echo"
        assert (await model(gateway, "fast")).name == "sandbox/echo"
        await alias(gateway, "fast", "sandbox/count")
        assert (await model(gateway, "fast")).name == "sandbox/count"
        await unalias(gateway, "fast")
        assert await refusal(model(gateway, "fast")) == Refusal("NOT_FOUND", "MODEL_NOT_FOUND")
        assert await refusal(unalias(gateway, "fast")) == NOT_FOUND

    async def test_the_first_that_can_be_called_counts(self, gateway: RunningGateway) -> None:
        await alias(gateway, "smart", "openai/gpt-4o", "sandbox/echo", "sandbox/count")
        assert (await model(gateway, "smart")).name == "sandbox/echo"
        request = admin_pb2.CreateApiKeyRequest(name="a", scopes=["models:read"], allowed_models=["sandbox/count"])
        key = (await gateway.admin.CreateApiKey(request, metadata=gateway.metadata())).secret
        assert (await model(gateway, "smart", key)).name == "sandbox/count"
        await alias(gateway, "off", "openai/gpt-4o")
        assert (await refusal(model(gateway, "off"))).reason == "PROVIDER_DISABLED"

    async def test_an_alias_wins_over_a_bare_name_and_means_no_alias(self, gateway: RunningGateway) -> None:
        await alias(gateway, "echo", "count")
        await alias(gateway, "count", "echo")
        assert (await model(gateway, "echo")).name == "sandbox/count"
        assert (await model(gateway, "count")).name == "sandbox/echo"

    async def test_aliases_are_listed_by_name(self, gateway: RunningGateway) -> None:
        for name in ("c", "a", "b"):
            await alias(gateway, name, "sandbox/echo")
        request = models_pb2.ListModelAliasesRequest(page_size=2)
        first = await gateway.models.ListModelAliases(request, metadata=gateway.metadata())
        request.page_token = first.next_page_token
        second = await gateway.models.ListModelAliases(request, metadata=gateway.metadata())
        assert [each.alias for each in (*first.aliases, *second.aliases)] == ["a", "b", "c"]
        assert not second.next_page_token

    async def test_names_that_cannot_be_aliases(self, gateway: RunningGateway) -> None:
        for name in ("sandbox/echo", "", "a b", "-a", "x" * 129):
            assert await refusal(alias(gateway, name, "sandbox/echo")) == invalid("alias")
        assert await refusal(alias(gateway, "a")) == invalid("models")
        unknown = Refusal("NOT_FOUND", "MODEL_NOT_FOUND")
        assert await refusal(alias(gateway, "a", "no-such-model")) == unknown
        assert await refusal(alias(gateway, "a", "sandbox/none")) == unknown


class TestSync:
    async def test_added_gone_and_back(self, reaching: RunningGateway, openai: Upstream) -> None:
        offers(openai, "gpt-4o", "gpt-9", "gpt-9-mini")
        first = (await sync(reaching, "openai"))["openai"]
        assert (first.model_count, list(first.added), list(first.gone)) == (3, ["gpt-4o", "gpt-9", "gpt-9-mini"], [])
        assert {"openai/gpt-9", "openai/gpt-9-mini"} <= set(await names(reaching, "openai"))
        offers(openai, "gpt-4o", "gpt-9")
        second = (await sync(reaching, "openai"))["openai"]
        assert (list(second.added), list(second.gone)) == ([], ["gpt-9-mini"])
        assert "openai/gpt-9-mini" not in await names(reaching, "openai")
        offers(openai, "gpt-4o", "gpt-9-mini", "gpt-9")
        assert (await sync(reaching, "openai"))["openai"].added == ["gpt-9-mini"]
        assert openai.requests[0].headers["authorization"] == f"Bearer {KEY}"

    async def test_what_is_found_has_a_bare_name_and_no_price(self, reaching: RunningGateway, openai: Upstream) -> None:
        offers(openai, "gpt-9", "gpt-4o-2024-08-06")
        await sync(reaching, "openai")
        assert (await model(reaching, "gpt-9")).name == "openai/gpt-9"
        assert await refusal(asked(reaching, "gpt-9")) == Refusal("FAILED_PRECONDITION", "PRICE_UNKNOWN")
        assert (await model(reaching, "gpt-4o-2024-08-06")).price.units

    async def test_one_that_fails_does_not_hold_up_the_others(self, reaching: RunningGateway, openai: Upstream) -> None:
        offers(openai, "gpt-9")
        await sync(reaching)
        openai.reply(status=401, json={"error": {"message": f"bad key {KEY}"}})
        told = await sync(reaching)
        assert (told["openai"].failure_kind, told["openai"].http_status) == ("AUTH", 401)
        assert (told["sandbox"].failure_kind, told["sandbox"].model_count > 10) == ("", True)
        assert "openai/gpt-9" in await names(reaching, "openai")
        assert KEY.encode() not in told["openai"].SerializeToString()

    async def test_names_that_cannot_be_kept_are_left_out(self, reaching: RunningGateway, openai: Upstream) -> None:
        offers(openai, "good", "", "x" * 201, "nul\0", "line\nbreak", "good")
        assert (await sync(reaching, "openai"))["openai"].added == ["good"]

    async def test_providers_that_cannot_be_asked(self, gateway: RunningGateway) -> None:
        assert await refusal(sync(gateway, "nobody")) == NOT_FOUND
        assert await refusal(sync(gateway, "openai")) == Refusal("FAILED_PRECONDITION", "PROVIDER_DISABLED")
