"""Which providers are on, and what the operator can say about them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TypeAlias

import pytest

from tests.fixtures.upstream import Upstream as Server
from tests.wire.recorded import Exchange, cut, exchanges, read
from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.providers.builtin import NAMES
from trunkline_server.providers.client import ClientSettings
from trunkline_server.providers.registry import ProviderSettings, Registry

KEY = "key-canary-0123456789"
DEPLOYMENT = "/openai/deployments/openllmetry-testing"
Open: TypeAlias = Callable[[Mapping[str, ProviderSettings]], Registry]


@pytest.fixture
async def opened() -> AsyncIterator[Open]:
    registries: list[Registry] = []

    def open_(settings: Mapping[str, ProviderSettings]) -> Registry:
        registries.append(Registry(settings, ClientSettings()))
        return registries[-1]

    yield open_
    for registry in registries:
        await registry.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server() as running:
        running.respond(lambda _: Server.whole(json={"data": []}))
        yield running


def missing(registry: Registry, name: str) -> str:
    listed = registry.find(name)
    assert listed
    assert listed.enabled is not bool(listed.missing)
    return listed.missing


async def test_with_no_settings_only_the_sandbox_is_on(opened: Open) -> None:
    registry = opened({})

    assert registry.enabled == ("sandbox",)
    assert [each.name for each in registry.listing()] == sorted([*NAMES, "sandbox"])
    assert missing(registry, "groq") == "it needs an API key (GROQ_API_KEY)"
    assert missing(registry, "ollama") == "it needs a base_url (OLLAMA_BASE_URL)"


async def test_ollama_is_on_once_the_settings_name_it(opened: Open) -> None:
    registry = opened({"ollama": ProviderSettings()})

    assert registry.enabled == ("ollama", "sandbox")
    assert registry.upstream("ollama").provider.base_url == "http://localhost:11434"


async def test_bare_names_look_in_the_order_of_our_list(opened: Open) -> None:
    settings = {name: ProviderSettings(api_key=KEY) for name in reversed(NAMES)}

    registry = opened({"mine": ProviderSettings(base_url="http://127.0.0.1:1"), **settings})

    assert registry.enabled == (*NAMES, "mine", "sandbox")


async def test_off_is_off_whatever_else_is_said(opened: Open) -> None:
    off = ProviderSettings(enabled=False, api_key=KEY, base_url="http://127.0.0.1:1")
    registry = opened(dict.fromkeys((*NAMES, "mine", "sandbox"), off))

    assert registry.enabled == ()
    assert {each.missing for each in registry.listing()} == {"it is switched off"}


async def test_a_provider_that_is_off_says_why(opened: Open) -> None:
    with pytest.raises(TrunklineError) as caught:
        opened({}).upstream("groq")

    assert caught.value.reason is Reason.PROVIDER_DISABLED
    assert "GROQ_API_KEY" in caught.value.message


async def test_a_server_of_ones_own_needs_an_address_and_no_key(opened: Open) -> None:
    registry = opened({"mine": ProviderSettings(), "yours": ProviderSettings(base_url="http://127.0.0.1:1")})

    assert missing(registry, "mine") == "it needs a base_url"
    assert missing(registry, "yours") == ""


async def test_headers_and_query_go_along_with_every_request(opened: Open, server: Server) -> None:
    settings = ProviderSettings(
        base_url=server.url,
        api_key=KEY,
        headers={"HTTP-Referer": "https://shop.example", "X-Title": "Shop"},
        query={"api-version": "2024-10-21", "q": "a b&c"},
    )

    await opened({"openrouter": settings}).upstream("openrouter").models()

    (request,) = server.requests
    assert request.path == "/models/user?api-version=2024-10-21&q=a+b%26c"
    assert (request.headers["http-referer"], request.headers["x-title"]) == ("https://shop.example", "Shop")


async def test_a_query_joins_one_that_is_there(opened: Open, server: Server) -> None:
    settings = ProviderSettings(base_url=server.url, api_key=KEY, query={"v": "1"})
    server.reply(json={"data": []})

    await opened({"anthropic": settings}).upstream("anthropic").models()

    assert server.requests[0].path == "/v1/models?limit=1000&v=1"


async def test_the_key_goes_into_the_header_that_is_named(opened: Open, server: Server) -> None:
    settings = ProviderSettings(base_url=server.url, api_key=KEY, key_header="X-Gate-Key")

    await opened({"openai": settings}).upstream("openai").models()

    (request,) = server.requests
    assert request.headers["x-gate-key"] == KEY
    assert "authorization" not in request.headers


def test_secrets_are_not_shown() -> None:
    settings = ProviderSettings(api_key=KEY, headers={"a": KEY}, query={"key": KEY})

    assert KEY not in repr(settings)


@pytest.mark.parametrize("exchange", exchanges("azure__deployments-chat-completions__", lambda each: each.good))
async def test_azure_as_it_was_recorded(opened: Open, server: Server, exchange: Exchange) -> None:
    settings = ProviderSettings(
        dialect="azure", base_url=server.url + DEPLOYMENT, api_key=KEY, query={"api-version": "2024-02-01"}
    )
    upstream = opened({"my-azure": settings}).upstream("my-azure")
    server.stream(cut(exchange.body, 3), status=exchange.status, content_type=exchange.content_type)
    ask = Ask("my-azure", "openllmetry-testing", question(), stream=exchange.streamed)

    answer = Answer(streaming=False)
    async for _ in upstream.chat(ask, answer):
        pass

    expected = read(lambda grown: upstream.wire.decode_chat(ask, grown, exchange.content_type), [exchange.body])
    assert answer.candidates() == expected.candidates() != []
    (request,) = server.requests
    assert request.path == f"{DEPLOYMENT}/chat/completions?api-version=2024-02-01" == exchange.path
    assert (request.headers["api-key"], "authorization" in request.headers) == (KEY, False)
    assert {"messages", "model"} <= set(request.json()) & set(exchange.question())


def test_the_settings_do_not_load_an_http_client() -> None:
    code = "import sys, trunkline_server.config; sys.exit('httptools' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=30, env=dict(os.environ))

    assert done.returncode == 0


def question() -> chat_pb2.ChatInput:
    asked = chat_pb2.ChatInput()
    asked.messages.add(role=content_pb2.ROLE_USER).parts.add().text.text = "Tell me a joke"
    return asked
