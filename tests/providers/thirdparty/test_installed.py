"""Providers that other packages bring, called through a whole gateway; and what happens when one is broken."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.gateway import RunningGateway, StartGateway, question, text_of
from tests.fixtures.upstream import Upstream
from tests.providers.thirdparty.distribution import install, install_documented, on_the_path
from trunkline.v1 import chat_pb2, providers_pb2
from trunkline_server.providers.client import ClientSettings
from trunkline_server.providers.registry import Listed, ProviderSettings, Registry

IMPORTS = """
from trunkline_server.providers.provider import Provider
from trunkline_server.wire.openai_chat import OpenAIChat
"""
GOOD = IMPORTS + 'PROVIDER = Provider(name="{0}", base_url="http://127.0.0.1:1", wire=OpenAIChat(), needs_key=False)\n'
BROKEN = {
    "raises": ('raise RuntimeError("sk-secret")', "its package failed with RuntimeError"),
    "leaves": ("import sys\nsys.exit(3)", "its package failed with SystemExit"),
    "lacks": ("import no_such_module", "its package failed with ModuleNotFoundError"),
    "number": ("PROVIDER = 7", "its package failed with TypeError"),
    "nothing": ("def PROVIDER(): return None", "'nothing:PROVIDER' gives no Provider"),
    "other": (GOOD.format("another"), "'other:PROVIDER' gives a provider of another name, 'another'"),
    "wireless": (GOOD.format("wireless").replace("OpenAIChat()", "object()"), "its wire lacks methods"),
    "signs": (GOOD.format("signs").replace("needs_key", "sign=1, needs_key"), "its package failed with TypeError"),
    "way": (GOOD.format("way").replace("needs_key", "transport=1, needs_key"), "its package failed with TypeError"),
}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    with on_the_path(tmp_path / "site") as folder:
        yield folder


async def listed(settings: dict[str, ProviderSettings] | None = None) -> dict[str, Listed]:
    registry = Registry(settings or {}, ClientSettings())
    await registry.close()
    return {each.name: each for each in registry.listing()}


async def test_a_gateway_calls_the_provider_of_another_package(site: Path, start_gateway: StartGateway) -> None:
    install_documented(site)
    async with Upstream() as upstream:
        gateway = await start_gateway(
            {
                "TRUNKLINE_PROVIDERS__ACME__API_KEY": "key",
                "TRUNKLINE_PROVIDERS__ACME__BASE_URL": upstream.url,
                "TRUNKLINE_PROVIDERS__ACME__FREE": "true",
            }
        )
        message = {"role": "assistant", "content": "Hello"}
        upstream.reply(json={"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
        request = chat_pb2.CompleteRequest(input=question("Hi", "acme/rocket-1"))

        answered = await gateway.chat.Complete(request, metadata=gateway.metadata())

        assert text_of(answered.completion) == "Hello"
        assert answered.completion.provider == "acme"
        assert upstream.requests[0].headers["x-acme-key"] == "key"
        assert upstream.requests[0].json()["model"] == "rocket-1"


async def test_a_gateway_starts_without_the_broken_ones_and_says_so(
    site: Path, start_gateway: StartGateway, caplog: pytest.LogCaptureFixture
) -> None:
    install(site, "raises", BROKEN["raises"][0], {"raises": "raises:PROVIDER"})
    install_documented(site)

    with caplog.at_level(logging.WARNING):
        gateway = await start_gateway()

    provider = await told(gateway, "raises")
    assert (provider.enabled, provider.disabled_reason) == (False, BROKEN["raises"][1])
    assert (provider.wire, list(provider.capabilities)) == ("", [])
    assert (await told(gateway, "acme")).disabled_reason == "it needs an API key (TRUNKLINE_PROVIDERS__ACME__API_KEY)"
    assert [each.message for each in caplog.records if "raises" in each.message] == [
        "provider.broken name=raises reason='its package failed with RuntimeError'"
    ]
    assert "sk-secret" not in caplog.text


async def told(gateway: RunningGateway, name: str) -> providers_pb2.Provider:
    request = providers_pb2.GetProviderRequest(name=name)
    return (await gateway.providers.GetProvider(request, metadata=gateway.metadata())).provider


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_one_is_off_and_the_others_are_on(name: str, site: Path) -> None:
    source, reason = BROKEN[name]
    install(site, name, source, {name: f"{name}:PROVIDER"})
    install(site, "well_made", GOOD.format("well"), {"well": "well_made:PROVIDER"})

    found = await listed({name: ProviderSettings(api_key="key", base_url="http://127.0.0.1:1")})

    assert (found[name].enabled, found[name].missing) == (False, reason)
    assert (found["well"].enabled, found["sandbox"].enabled) == (True, True)


async def test_a_callable_may_give_the_provider(site: Path) -> None:
    source = GOOD.format("made") + "def make(): return PROVIDER\n"
    install(site, "maker", source, {"made": "maker:make"})

    assert (await listed())["made"].enabled


async def test_a_name_of_ours_stays_ours(site: Path, caplog: pytest.LogCaptureFixture) -> None:
    install(site, "grabber", GOOD.format("openai"), {"openai": "grabber:PROVIDER"})

    found = await listed()

    assert found["openai"].missing == "it needs an API key (OPENAI_API_KEY)"
    assert caplog.messages == ["provider.broken name=openai reason='its name is taken'"]


async def test_a_way_of_its_own_is_closed_at_the_end(site: Path) -> None:
    source = IMPORTS + (
        "class Way:\n    def open(self, request): raise OSError\n"
        "    async def close(self): Way.closed = True\n"
        'PROVIDER = Provider(name="way", base_url="", wire=OpenAIChat(), transport=lambda settings: Way())\n'
    )
    install(site, "own_way", source, {"way": "own_way:PROVIDER"})

    found = await listed({"way": ProviderSettings(api_key="key")})

    assert found["way"].enabled
    assert sys.modules["own_way"].Way.closed
