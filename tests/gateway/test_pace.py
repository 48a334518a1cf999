"""The limits of providers, learnt from the headers of their answers."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.fixtures.desk import USER
from tests.fixtures.fleet import CHAIN, Fleet, Ship
from trunkline.v1 import providers_pb2
from trunkline_server.gateway import attempts

SPENT = {
    "x-ratelimit-limit-requests": "10",
    "x-ratelimit-remaining-requests": "0",
    "x-ratelimit-reset-requests": "1h",
}


def answers_once(ship: Ship, headers: dict[str, str], status: int = 200) -> None:
    body: Any = ship.dialect.whole("by openai", 2) if status == 200 else ship.dialect.error("no")
    ship.upstream.reply(json=body, headers=headers, status=status)


async def test_a_call_goes_elsewhere_where_the_provider_would_refuse_it(fleet: Fleet) -> None:
    answers_once(fleet.ships[0], SPENT)

    first, second = await fleet.complete(), await fleet.complete()

    assert (first.provider, second.provider) == ("openai", "anthropic")
    assert fleet.asked == [1, 1, 0]


async def test_a_refusal_tells_it_too(fleet: Fleet) -> None:
    answers_once(fleet.ships[0], SPENT, status=429)

    first, second = await fleet.complete(), await fleet.complete()

    assert (first.provider, second.provider) == ("anthropic", "anthropic")
    assert fleet.asked == [1, 2, 0]


async def test_without_another_candidate_it_is_asked_all_the_same(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses_s: list[float] = []

    def too_long(told_s: float, remaining_s: float) -> bool:
        pauses_s.append(told_s)
        return attempts.worth_waiting(told_s, remaining_s)

    monkeypatch.setattr("trunkline_server.gateway.gateway.worth_waiting", too_long)
    answers_once(fleet.ships[0], SPENT)
    alone = fleet.question(allowed_providers=["openai"])

    told = [(await fleet.complete(alone)).provider for _ in range(2)]

    assert told == ["openai", "openai"]
    assert pauses_s == [pytest.approx(360, abs=60)]  # a tenth of the hour, and so nothing to wait for


async def test_a_short_wait_is_better_than_a_refusal(fleet: Fleet) -> None:
    answers_once(fleet.ships[0], SPENT | {"x-ratelimit-reset-requests": "2s"})
    alone = fleet.question(allowed_providers=["openai"])
    await fleet.complete(alone)
    line = fleet.gateway.house.gateway.admission.routes.lines.line("openai", CHAIN[0].partition("/")[2])
    began_s, pause_s = time.time(), line.pace.pause_s()

    await fleet.complete(alone)

    assert time.time() - began_s >= pause_s - 0.01


async def test_a_streamed_answer_tells_it_too(fleet: Fleet) -> None:
    ship = fleet.ships[0]
    ship.upstream.stream(list(ship.dialect.stream("by ", "openai")), headers=SPENT)

    await fleet.listen()

    assert (await fleet.complete()).provider == "anthropic"


async def test_what_was_learnt_is_told(fleet: Fleet) -> None:
    answers_once(fleet.ships[0], SPENT)
    await fleet.complete()

    listed = await fleet.gateway.providers.ListProviders(
        providers_pb2.ListProvidersRequest(), metadata=fleet.gateway.metadata(USER)
    )

    [limit] = next(each.health.limits for each in listed.providers if each.name == "openai")
    assert (limit.unit, limit.amount, limit.remaining) == ("requests", 10, 0)
    assert limit.reset_time.seconds > 0
