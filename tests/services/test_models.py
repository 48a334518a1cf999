"""ModelService over a socket: what is listed, what a name means, and what it costs."""

from __future__ import annotations

from tests.fixtures.gateway import RunningGateway, StartGateway
from tests.fixtures.pages import pages
from tests.fixtures.refusal import Refusal, refusal
from trunkline.v1 import admin_pb2, models_pb2, usage_pb2

KEYS = {"OPENAI_API_KEY": "sk-test", "GEMINI_API_KEY": "test"}


async def model(gateway: RunningGateway, name: str, key: str = "") -> models_pb2.Model:
    request = models_pb2.GetModelRequest(name=name)
    return (await gateway.models.GetModel(request, metadata=gateway.metadata(key=key))).model


async def names(gateway: RunningGateway, key: str = "", size: int = 1000, provider: str = "") -> list[str]:
    """All pages."""
    request = models_pb2.ListModelsRequest(page_size=size, provider=provider)
    listed = [page.models async for page in pages(gateway.models.ListModels, request, gateway.metadata(key=key))]
    assert all(len(models) <= size for models in listed)
    return [each.name for models in listed for each in models]


async def prices(gateway: RunningGateway, provider: str, size: int = 1000) -> list[models_pb2.Price]:
    request = models_pb2.ListPricesRequest(page_size=size, provider=provider)
    listed = pages(gateway.models.ListPrices, request, gateway.metadata())
    return [each async for page in listed for each in page.prices]


async def test_only_models_of_providers_that_are_on_are_listed(gateway: RunningGateway) -> None:
    listed = await names(gateway)
    assert "sandbox/echo" in listed
    assert {name.partition("/")[0] for name in listed} == {"sandbox"}


async def test_models_come_by_provider_and_name_in_pages(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(KEYS)
    whole = await names(gateway)
    assert {name.partition("/")[0] for name in whole} == {"gemini", "openai", "sandbox"}
    assert whole == sorted(whole, key=lambda name: name.split("/", 1))
    assert len(set(whole)) == len(whole) > 20
    assert await names(gateway, size=7) == whole
    assert await names(gateway, provider="gemini", size=3) == [name for name in whole if name.startswith("gemini/")]
    assert await names(gateway, provider="nobody") == []


async def test_a_model_says_what_it_takes_and_can(gateway: RunningGateway) -> None:
    echo = await model(gateway, "sandbox/echo")
    assert (echo.name, echo.provider, echo.provider_model) == ("sandbox/echo", "sandbox", "echo")
    assert (echo.context_window, echo.max_output_tokens, bool(echo.display_name)) == (128000, 4096, True)
    assert {models_pb2.CAPABILITY_CHAT, models_pb2.CAPABILITY_STREAM} <= set(echo.capabilities)
    assert (echo.price.provider, echo.price.model) == ("sandbox", "echo")
    assert await model(gateway, "echo") == echo


async def test_a_name_means_what_it_means_in_a_call(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(KEYS)
    dated = await model(gateway, "gpt-4o-2024-08-06")
    assert dated.name == "openai/gpt-4o-2024-08-06"
    assert dated.price.units
    unknown = await model(gateway, "openai/not-yet-known")
    assert unknown.provider_model == "not-yet-known"
    assert not unknown.HasField("price")
    assert unknown.capabilities


async def test_names_that_no_call_could_use(gateway: RunningGateway) -> None:
    assert (await refusal(model(gateway, "no-such-model"))) == Refusal("NOT_FOUND", "MODEL_NOT_FOUND")
    assert (await refusal(model(gateway, "sandbox/none"))) == Refusal("NOT_FOUND", "MODEL_NOT_FOUND")
    assert (await refusal(model(gateway, "openai/gpt-4o"))) == Refusal("FAILED_PRECONDITION", "PROVIDER_DISABLED")
    assert (await refusal(model(gateway, ""))) == Refusal("INVALID_ARGUMENT", "VALIDATION", "name")


async def test_a_key_sees_the_models_that_it_may_call(gateway: RunningGateway) -> None:
    narrow = admin_pb2.CreateApiKeyRequest(name="narrow", scopes=["models:read"], allowed_models=["sandbox/echo"])
    key = (await gateway.admin.CreateApiKey(narrow, metadata=gateway.metadata())).secret
    assert await names(gateway, key) == ["sandbox/echo"]
    assert (await refusal(model(gateway, "sandbox/think", key))).reason == "MODEL_NOT_ALLOWED"


async def test_the_price_list_has_units_in_dollars_for_a_million(gateway: RunningGateway) -> None:
    [echo] = [price for price in await prices(gateway, "sandbox") if price.model == "echo"]
    assert [(unit.unit, unit.per_million, unit.from_input_tokens) for unit in echo.units] == [
        ("input", usage_pb2.Amount(unit="USD", nanos=1_000_000_000), 0),
        ("output", usage_pb2.Amount(unit="USD", nanos=2_000_000_000), 0),
    ]
    assert echo.price_version
    assert echo.effective_time.seconds == 0
    assert (await model(gateway, "sandbox/echo")).price == echo


async def test_the_price_list_has_tiers_and_days_of_providers_that_are_off(gateway: RunningGateway) -> None:
    listed = await prices(gateway, "gemini")
    assert any(unit.from_input_tokens > 0 for price in listed for unit in price.units)
    order = [(price.model, price.effective_time.seconds) for price in listed]
    assert order == sorted(order)
    assert await prices(gateway, "gemini", size=4) == listed
