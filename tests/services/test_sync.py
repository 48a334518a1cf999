"""What providers offer, over a socket: what is new, what is gone, and what failed."""

from __future__ import annotations

import pytest

from tests.fixtures.gateway import RunningGateway, StartGateway
from tests.fixtures.model_calls import asked, model, names, offers, sync
from tests.fixtures.refusal import Refusal, refusal
from tests.fixtures.scripted import KEY
from tests.fixtures.upstream import Upstream
from trunkline.v1 import models_pb2
from trunkline_server.core.offered import Offered
from trunkline_server.wire.openai_chat import OpenAIChat

NOT_FOUND = Refusal("NOT_FOUND", "RESOURCE_NOT_FOUND")


async def test_added_gone_and_back(reaching: RunningGateway, openai: Upstream) -> None:
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


async def test_what_was_pulled_at_ollama_can_be_called(start_gateway: StartGateway, openai: Upstream) -> None:
    gateway = await start_gateway({"OLLAMA_BASE_URL": openai.url})
    openai.reply(json={"models": [{"name": "llama3.2:1b", "model": "llama3.2:1b"}]})
    assert list((await sync(gateway, "ollama"))["ollama"].added) == ["llama3.2:1b"]
    assert openai.requests[-1].path == "/api/tags"
    openai.reply(json={"models": [{"name": "qwen3:4b", "model": "qwen3:4b"}]})
    told = (await sync(gateway, "ollama"))["ollama"]
    assert (list(told.added), list(told.gone)) == (["qwen3:4b"], ["llama3.2:1b"])
    assert await names(gateway, "ollama") == ["ollama/qwen3:4b"]


async def test_what_a_list_says_of_its_models_is_kept_and_its_changes_are_told(
    reaching: RunningGateway, openai: Upstream
) -> None:
    listed = {"id": "gpt-9", "name": "GPT 9", "context_length": 1000, "top_provider": {"max_completion_tokens": 100}}
    openai.reply(json={"data": [listed]})
    await sync(reaching, "openai")
    found = await model(reaching, "openai/gpt-9")
    assert (found.display_name, found.context_window, found.max_output_tokens) == ("GPT 9", 1000, 100)
    openai.reply(json={"data": [{**listed, "context_length": 2000, "top_provider": {"max_completion_tokens": -1}}]})
    told = (await sync(reaching, "openai"))["openai"]
    assert (list(told.added), list(told.changed), list(told.gone)) == ([], ["gpt-9"], [])
    found = await model(reaching, "openai/gpt-9")
    assert (found.context_window, found.max_output_tokens) == (2000, 0)


async def test_what_is_found_has_a_bare_name_and_no_price(reaching: RunningGateway, openai: Upstream) -> None:
    offers(openai, "gpt-9", "gpt-4o-2024-08-06")
    await sync(reaching, "openai")
    assert (await model(reaching, "gpt-9")).name == "openai/gpt-9"
    assert await refusal(asked(reaching, "gpt-9")) == Refusal("FAILED_PRECONDITION", "PRICE_UNKNOWN")
    assert (await model(reaching, "gpt-4o-2024-08-06")).price.units


async def test_one_that_fails_does_not_hold_up_the_others(reaching: RunningGateway, openai: Upstream) -> None:
    offers(openai, "gpt-9")
    await sync(reaching)
    openai.reply(status=401, json={"error": {"message": f"bad key {KEY}"}})
    told = await sync(reaching)
    assert (told["openai"].failure_kind, told["openai"].http_status) == ("AUTH", 401)
    assert (told["sandbox"].failure_kind, told["sandbox"].model_count > 10) == ("", True)
    assert "openai/gpt-9" in await names(reaching, "openai")
    assert KEY.encode() not in told["openai"].SerializeToString()


async def test_a_wire_that_raises_is_a_provider_that_fails(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(wire: OpenAIChat, body: bytes) -> list[Offered]:
        raise KeyError(body)

    monkeypatch.setattr(OpenAIChat, "decode_models", broken)
    assert (await sync(gateway))["sandbox"].failure_kind == "BROKEN"


async def test_a_provider_that_says_nothing_fails_before_the_call_does(
    reaching: RunningGateway, openai: Upstream
) -> None:
    openai.hang()
    request = models_pb2.SyncModelsRequest(provider="openai")
    answer = await reaching.models.SyncModels(request, metadata=reaching.metadata(), timeout=2.5)
    assert [each.failure_kind for each in answer.providers] == ["TIMEOUT_FIRST_TOKEN"]


async def test_names_that_cannot_be_kept_are_left_out(reaching: RunningGateway, openai: Upstream) -> None:
    offers(openai, "good", "", "x" * 201, "nul\0", "line\nbreak", "good")
    assert (await sync(reaching, "openai"))["openai"].added == ["good"]


async def test_providers_that_cannot_be_asked(gateway: RunningGateway) -> None:
    assert await refusal(sync(gateway, "nobody")) == NOT_FOUND
    assert await refusal(sync(gateway, "openai")) == Refusal("FAILED_PRECONDITION", "PROVIDER_DISABLED")
