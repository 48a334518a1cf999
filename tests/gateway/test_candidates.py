"""Who is asked first: chains, a call's own fallbacks, allow and deny, the universal fallback, the strategies."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from tests.fixtures.dialects import DIALECTS
from tests.fixtures.fleet import CHAIN, Fleet, StartFleet
from tests.fixtures.gateway import RunningGateway, StartGateway, question
from tests.fixtures.model_calls import alias, unalias
from tests.fixtures.refusal import Refusal, invalid, refusal, refusal_of
from tests.fixtures.upstream import Upstream
from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.call import Caller
from trunkline_server.core.ids import new_uuid
from trunkline_server.gateway.routes import Route
from trunkline_server.house.start import StartError
from trunkline_server.providers.builtin.openrouter import foreign_names

ANYONE = Caller(new_uuid(), "test", frozenset("*"))


def names(routes: tuple[Route, ...]) -> list[str]:
    return [f"{route.provider}/{route.model}" for route in routes]


def chain(gateway: RunningGateway, name: str) -> list[str]:
    return names(gateway.house.gateway.admission.routes.chain(name, ANYONE).whole)


async def served_by(fleet: Fleet, count: int = 1, **routing: Any) -> list[str]:
    return [(await fleet.complete(fleet.question(**routing))).provider for _ in range(count)]


KEYS = {f"{name}_API_KEY": "k" for name in ("OPENAI", "ANTHROPIC", "GEMINI", "OPENROUTER")}


@pytest.mark.parametrize(
    ("chains", "meant"),
    [
        ({}, ["openai/gpt-4o", "openrouter/openai/gpt-4o"]),
        ({"gpt-4o": ["anthropic/claude-haiku-4-5"]}, ["openai/gpt-4o", CHAIN[1], "openrouter/openai/gpt-4o"]),
        ({"openai": ["gemini"]}, ["openai/gpt-4o", "gemini/gpt-4o", "openrouter/openai/gpt-4o"]),
        ({"openai/gpt-4o": [CHAIN[2]], "openai": [CHAIN[1]]}, ["openai/gpt-4o", CHAIN[2], "openrouter/openai/gpt-4o"]),
        ({"openai": ["mistral/mistral-large-latest", "openai/gpt-4o"]}, ["openai/gpt-4o", "openrouter/openai/gpt-4o"]),
        ({"openai": ["openrouter/openai/gpt-4o", CHAIN[1]]}, ["openai/gpt-4o", "openrouter/openai/gpt-4o", CHAIN[1]]),
    ],
)
async def test_what_stands_behind_a_model(
    start_gateway: StartGateway, chains: dict[str, list[str]], meant: list[str]
) -> None:
    gateway = await start_gateway(KEYS, routing={"chains": json.dumps(chains)})
    assert chain(gateway, "gpt-4o") == meant


async def test_the_universal_fallback_can_be_another_or_none(start_gateway: StartGateway) -> None:
    none = await start_gateway(KEYS, routing={"universal_fallback": ""})
    assert chain(none, "openai/gpt-4o") == ["openai/gpt-4o"]
    default = await start_gateway(KEYS)
    assert chain(default, "claude-haiku-4-5") == [CHAIN[1], "openrouter/anthropic/claude-haiku-4.5"]
    assert chain(default, "openrouter/openai/gpt-4o") == ["openrouter/openai/gpt-4o"]
    assert chain(default, "sandbox/echo") == ["sandbox/echo"]


async def test_a_bare_name_means_every_provider_that_has_it(start_gateway: StartGateway) -> None:
    other = {"base_url": "http://127.0.0.1:1", "models": [{"name": "gpt-4o"}]}
    open_ = {"base_url": "http://127.0.0.1:1", "free": True}
    settings = {"TRUNKLINE_PROVIDERS": json.dumps({"mine": other, "takes-all": open_})}
    gateway = await start_gateway({"OPENAI_API_KEY": "k", **settings})
    assert chain(gateway, "gpt-4o") == ["openai/gpt-4o", "mine/gpt-4o"]
    assert chain(gateway, "openai/gpt-4o") == ["openai/gpt-4o"]
    assert chain(gateway, "unheard-of") == ["takes-all/unheard-of"]


async def test_a_chain_that_names_nothing_stops_the_start(start_gateway: StartGateway) -> None:
    with pytest.raises(StartError, match=r"routing\.chains: 'gpt-44444o' is neither a model nor"):
        await start_gateway(KEYS, routing={"chains": '{"gpt-4o": ["gpt-44444o"]}'})


async def test_an_alias_in_a_chain_means_its_models_as_they_are(start_gateway: StartGateway) -> None:
    setting = await start_gateway(KEYS, routing={"universal_fallback": ""})
    await alias(setting, "smart", CHAIN[1], "gpt-4o", CHAIN[2])
    chains = json.dumps({"gpt-4o": ["smart"], CHAIN[2]: ["smart", "anthropic/claude-sonnet-4-5"], "smart": ["smart"]})
    gateway = await start_gateway(KEYS, routing={"chains": chains, "universal_fallback": ""})
    assert chain(gateway, "gpt-4o") == ["openai/gpt-4o", CHAIN[1], CHAIN[2]]
    assert chain(gateway, CHAIN[2]) == [CHAIN[2], CHAIN[1], "openai/gpt-4o", "anthropic/claude-sonnet-4-5"]
    assert chain(gateway, "smart") == [CHAIN[1], "openai/gpt-4o", CHAIN[2]]
    assert await refusal(unalias(gateway, "smart")) == invalid("alias")
    await alias(gateway, "smart", CHAIN[1])
    assert chain(gateway, "gpt-4o") == ["openai/gpt-4o", CHAIN[1]]


async def test_chains_and_aliases_in_a_circle_come_to_an_end(start_gateway: StartGateway) -> None:
    setting = await start_gateway(KEYS)
    await alias(setting, "one", "gpt-4o")
    await alias(setting, "gpt-4o", "openai/gpt-4o", "gpt-4o-mini")
    circle = {"one": ["gpt-4o"], "gpt-4o": ["one", "openai"], "openai/gpt-4o": ["one"], "gpt-4o-mini": ["gpt-4o"]}
    gateway = await start_gateway(KEYS, routing={"chains": json.dumps(circle), "universal_fallback": ""})
    assert chain(gateway, "one") == ["openai/gpt-4o", "openai/gpt-4o-mini"]
    assert chain(gateway, "gpt-4o") == ["openai/gpt-4o", "openai/gpt-4o-mini"]
    assert chain(gateway, "openai/gpt-4o-mini") == ["openai/gpt-4o-mini", "openai/gpt-4o"]


def test_names_at_openrouter() -> None:
    assert foreign_names("anthropic", "claude-haiku-4-5")[1] == "anthropic/claude-haiku-4.5"
    assert foreign_names("gemini", "gemini-2.5-flash")[0] == "google/gemini-2.5-flash"


# What a call says.


async def test_a_calls_own_fallbacks_stand_in_place_of_the_operators(fleet: Fleet) -> None:
    fleet.ships[0].down()
    assert await served_by(fleet, fallback_models=[CHAIN[2]]) == ["gemini"]
    assert await served_by(fleet, fallback_models=["groq/llama-3.3-70b-versatile", CHAIN[2]]) == ["gemini"]
    missing = await fleet.failed(fleet.question(fallback_models=["gpt-44444o"]))
    assert refusal_of(missing) == Refusal("NOT_FOUND", "MODEL_NOT_FOUND")


async def test_allow_and_deny(fleet: Fleet) -> None:
    assert await served_by(fleet, denied_providers=["openai"]) == ["anthropic"]
    assert await served_by(fleet, denied_providers=["openai", "anthropic"]) == ["gemini"]
    assert await served_by(fleet, allowed_providers=["gemini"]) == ["gemini"]
    nobody = await fleet.failed(fleet.question(allowed_providers=["mistral"]))
    assert refusal_of(nobody) == Refusal("INVALID_ARGUMENT", "VALIDATION", "input.routing")


async def test_a_key_falls_back_only_on_what_it_may_use(fleet: Fleet) -> None:
    fleet.ships[0].down()
    admission = fleet.gateway.house.gateway.admission
    caller = Caller(new_uuid(), "test", frozenset("*"), (CHAIN[0], CHAIN[2]))
    listed = admission.candidates._chain(caller, fleet.question())
    assert names(listed.whole) == [CHAIN[0], CHAIN[2]]


async def test_a_fallback_that_cannot_take_the_question_is_left_out(start_fleet: StartFleet) -> None:
    fleet = await start_fleet(providers={"groq__api_key": "k"})
    picture = content_pb2.Part(
        image=content_pb2.ImagePart(blob=content_pb2.Blob(uri="https://example.com/a.png", media_type="image/png"))
    )
    fleet.ships[0].down()
    fleet.ships[1].down()
    input = fleet.question()  # Gemini does not fetch addresses
    input.messages[0].parts.append(picture)
    assert refusal_of(await fleet.failed(input)).reason == "PROVIDERS_EXHAUSTED"
    assert fleet.asked[0] >= 1
    assert fleet.asked[2] == 0


# Strategies.


async def test_each_in_turn(fleet: Fleet) -> None:
    turns = await served_by(fleet, 6, strategy=chat_pb2.ROUTING_STRATEGY_ROUND_ROBIN)
    assert turns == ["openai", "anthropic", "gemini"] * 2


async def test_by_weight(start_fleet: StartFleet) -> None:
    weights = json.dumps({"openai": 1, CHAIN[1]: 3, "gemini": 0})
    fleet = await start_fleet(routing={"strategy": "weighted", "weights": weights})
    counts = Counter(await served_by(fleet, 60))
    assert counts["gemini"] == 0
    assert counts["anthropic"] > counts["openai"] > 0


async def test_by_cost(fleet: Fleet) -> None:
    cost = {
        provider: (await fleet.gateway.chat.Quote(request, metadata=fleet.gateway.metadata("ada"))).most.nanos
        for provider, request in (
            (dialect.provider, chat_pb2.QuoteRequest(input=fleet.question(dialect.name))) for dialect in DIALECTS
        )
    }
    cheapest = min(cost, key=lambda provider: cost[provider])
    assert await served_by(fleet, strategy=chat_pb2.ROUTING_STRATEGY_LEAST_COST) == [cheapest]
    for ship in fleet.ships:
        if ship.dialect.provider == cheapest:
            ship.down()
    [second] = await served_by(fleet, strategy=chat_pb2.ROUTING_STRATEGY_LEAST_COST)
    assert second == sorted(cost, key=lambda provider: cost[provider])[1]


async def test_by_latency(fleet: Fleet) -> None:
    routes = fleet.gateway.house.gateway.admission.routes
    for name, whole_s, first_word_s in zip(CHAIN, (0.3, 0.1, 0.2), (5.0, 6.0, 4.0), strict=True):
        latency = routes.find(name, ANYONE).line.latency
        latency.add(whole_s, streaming=False)
        latency.add(first_word_s, streaming=True)
    strategy = chat_pb2.ROUTING_STRATEGY_LEAST_LATENCY
    assert await served_by(fleet, strategy=strategy) == ["anthropic"]
    said = await fleet.listen(fleet.question(strategy=strategy))
    assert said.events[0].started.provider == "gemini"


async def test_what_was_never_measured_is_tried(fleet: Fleet) -> None:
    seen = await served_by(fleet, 3, strategy=chat_pb2.ROUTING_STRATEGY_LEAST_LATENCY)
    assert sorted(seen) == ["anthropic", "gemini", "openai"]


async def test_the_universal_fallback_stays_last_whatever_the_strategy(start_gateway: StartGateway) -> None:
    async with Upstream() as openai, Upstream() as openrouter:
        openai.respond(lambda _: openai.whole(json=DIALECTS[0].whole("hi", 1)))
        environment = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": openai.url}
        environment |= {"OPENROUTER_API_KEY": "k", "OPENROUTER_BASE_URL": openrouter.url}
        gateway = await start_gateway(environment, routing={"strategy": "round_robin"})
        request = chat_pb2.CompleteRequest(input=question("Hello", "gpt-4o"))
        for _ in range(4):
            await gateway.chat.Complete(request, metadata=gateway.metadata())
        assert (len(openai.requests), len(openrouter.requests)) == (4, 0)
        openai.respond(lambda _: openai.whole(status=500))
        openrouter.reply(json=DIALECTS[0].whole("hi", 1))
        completion = (await gateway.chat.Complete(request, metadata=gateway.metadata())).completion
        assert (completion.provider, openrouter.requests[0].json()["model"]) == ("openrouter", "openai/gpt-4o")
