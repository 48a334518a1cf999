"""ProviderService over a socket: which providers are on, and what a test of one tells; never a key or an address."""

from __future__ import annotations

import asyncio

from tests.fixtures.gateway import RunningGateway
from tests.fixtures.pages import pages
from tests.fixtures.refusal import Refusal, refusal
from tests.fixtures.scripted import KEY
from tests.fixtures.upstream import RESET, Answer, Upstream
from trunkline.v1 import models_pb2, providers_pb2


async def listed(gateway: RunningGateway, size: int = 0) -> list[providers_pb2.Provider]:
    request = providers_pb2.ListProvidersRequest(page_size=size)
    told = pages(gateway.providers.ListProviders, request, gateway.metadata())
    return [each async for page in told for each in page.providers]


async def tried(gateway: RunningGateway, name: str, timeout_s: float = 10) -> providers_pb2.TestProviderResponse:
    request = providers_pb2.TestProviderRequest(name=name)
    return await gateway.providers.TestProvider(request, metadata=gateway.metadata(), timeout=timeout_s)


async def test_providers_are_listed_by_name_and_say_what_they_lack(gateway: RunningGateway) -> None:
    providers = {each.name: each for each in await listed(gateway)}
    assert list(providers) == sorted(providers)
    assert {"anthropic", "gemini", "openai", "sandbox"} <= set(providers)
    assert not providers["openai"].enabled
    assert "OPENAI_API_KEY" in providers["openai"].disabled_reason
    assert (providers["anthropic"].wire, providers["gemini"].wire) == ("anthropic", "gemini")
    sandbox = providers["sandbox"]
    assert (sandbox.enabled, sandbox.disabled_reason) == (True, "")
    assert models_pb2.CAPABILITY_CHAT in sandbox.capabilities
    assert await listed(gateway, size=1) == list(providers.values())


async def test_one_provider(gateway: RunningGateway) -> None:
    request = providers_pb2.GetProviderRequest(name="openai")
    found = (await gateway.providers.GetProvider(request, metadata=gateway.metadata())).provider
    assert (found.name, found.wire, found.enabled) == ("openai", "openai", False)
    unknown = providers_pb2.GetProviderRequest(name="nobody")
    missing = await refusal(gateway.providers.GetProvider(unknown, metadata=gateway.metadata()))
    assert missing == Refusal("NOT_FOUND", "RESOURCE_NOT_FOUND")


async def test_the_sandbox_passes_its_test(gateway: RunningGateway) -> None:
    told = await tried(gateway, "sandbox")
    assert (told.ok, told.failure_kind, told.http_status) == (True, "", 0)
    assert told.model_count > 10


async def test_a_provider_is_asked_with_the_gateways_key(reaching: RunningGateway, openai: Upstream) -> None:
    openai.reply(json={"object": "list", "data": [{"id": "gpt-4o"}, {"id": "gpt-4.1"}]})
    told = await tried(reaching, "openai")
    assert (told.ok, told.model_count) == (True, 2)
    assert told.duration.ToTimedelta().total_seconds() > 0
    [asked] = openai.requests
    assert (asked.method, asked.path, asked.headers["authorization"]) == ("GET", "/v1/models", f"Bearer {KEY}")
    shown = [each.SerializeToString() for each in await listed(reaching)]
    assert all(KEY.encode() not in each and b"127.0.0.1" not in each for each in shown)


async def test_a_key_that_is_refused_is_an_answer(reaching: RunningGateway, openai: Upstream) -> None:
    openai.reply(status=401, json={"error": {"message": f"Incorrect API key provided: {KEY}"}})
    told = await tried(reaching, "openai")
    assert (told.ok, told.failure_kind, told.http_status) == (False, "AUTH", 401)
    assert KEY.encode() not in told.SerializeToString()


async def test_a_provider_that_breaks_is_an_answer(reaching: RunningGateway, openai: Upstream) -> None:
    openai.reply(b"<html>welcome</html>")
    assert (await tried(reaching, "openai")).failure_kind == "BROKEN"
    openai.respond(lambda _: Answer([RESET]))
    told = await tried(reaching, "openai")
    assert (told.ok, told.failure_kind, told.http_status) == (False, "AMBIGUOUS", 0)


async def test_a_provider_that_says_nothing_fails_before_the_call_does(
    reaching: RunningGateway, openai: Upstream
) -> None:
    answer = openai.hang()
    told = await tried(reaching, "openai", timeout_s=1.5)
    assert (told.ok, told.failure_kind) == (False, "TIMEOUT_FIRST_TOKEN")
    await asyncio.wait_for(answer.client_left(), 5)


async def test_what_cannot_be_tested(gateway: RunningGateway) -> None:
    assert await refusal(tried(gateway, "nobody")) == Refusal("NOT_FOUND", "RESOURCE_NOT_FOUND")
    assert await refusal(tried(gateway, "openai")) == Refusal("FAILED_PRECONDITION", "PROVIDER_DISABLED")
