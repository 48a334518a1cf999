"""Aliases, over a socket: further names of models."""

from __future__ import annotations

from tests.fixtures.gateway import RunningGateway
from tests.fixtures.model_calls import alias, asked, model, unalias
from tests.fixtures.refusal import Refusal, invalid, refusal
from trunkline.v1 import admin_pb2, models_pb2

NOT_FOUND = Refusal("NOT_FOUND", "RESOURCE_NOT_FOUND")


async def test_an_alias_is_a_name_of_a_model(gateway: RunningGateway) -> None:
    assert (await alias(gateway, "fast", "sandbox/echo")).models == ["sandbox/echo"]
    assert (await asked(gateway, "fast")).model == "echo"
    assert (await model(gateway, "fast")).name == "sandbox/echo"
    await alias(gateway, "fast", "sandbox/count")
    assert (await model(gateway, "fast")).name == "sandbox/count"
    await unalias(gateway, "fast")
    assert await refusal(model(gateway, "fast")) == Refusal("NOT_FOUND", "MODEL_NOT_FOUND")
    assert await refusal(unalias(gateway, "fast")) == NOT_FOUND


async def test_the_first_that_can_be_called_counts(gateway: RunningGateway) -> None:
    await alias(gateway, "smart", "openai/gpt-4o", "sandbox/echo", "sandbox/count")
    assert (await model(gateway, "smart")).name == "sandbox/echo"
    request = admin_pb2.CreateApiKeyRequest(name="a", scopes=["models:read"], allowed_models=["sandbox/count"])
    key = (await gateway.admin.CreateApiKey(request, metadata=gateway.metadata())).secret
    assert (await model(gateway, "smart", key)).name == "sandbox/count"
    await alias(gateway, "off", "openai/gpt-4o")
    assert (await refusal(model(gateway, "off"))).reason == "PROVIDER_DISABLED"


async def test_an_alias_wins_over_a_bare_name_and_means_no_alias(gateway: RunningGateway) -> None:
    await alias(gateway, "echo", "count")
    await alias(gateway, "count", "echo")
    assert (await model(gateway, "echo")).name == "sandbox/count"
    assert (await model(gateway, "count")).name == "sandbox/echo"


async def test_aliases_are_listed_by_name(gateway: RunningGateway) -> None:
    for name in ("c", "a", "b"):
        await alias(gateway, name, "sandbox/echo")
    request = models_pb2.ListModelAliasesRequest(page_size=2)
    first = await gateway.models.ListModelAliases(request, metadata=gateway.metadata())
    request.page_token = first.next_page_token
    second = await gateway.models.ListModelAliases(request, metadata=gateway.metadata())
    assert [each.alias for each in (*first.aliases, *second.aliases)] == ["a", "b", "c"]
    assert not second.next_page_token


async def test_names_that_cannot_be_aliases(gateway: RunningGateway) -> None:
    for name in ("sandbox/echo", "", "a b", "-a", "x" * 129):
        assert await refusal(alias(gateway, name, "sandbox/echo")) == invalid("alias")
    assert await refusal(alias(gateway, "a")) == invalid("models")
    unknown = Refusal("NOT_FOUND", "MODEL_NOT_FOUND")
    assert await refusal(alias(gateway, "a", "no-such-model")) == unknown
    assert await refusal(alias(gateway, "a", "sandbox/none")) == unknown
