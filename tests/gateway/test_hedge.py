"""Calls that ask a second provider beside a slow first one, over real sockets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fixtures.fleet import CHAIN, Fleet, StartFleet
from tests.fixtures.gateway import text_of
from tests.fixtures.until import until
from tests.fixtures.upstream import Answer
from trunkline.v1 import chat_pb2
from trunkline_server.gateway.health import RECENT_MIN


@pytest.fixture
async def fleet(start_fleet: StartFleet) -> Fleet:
    """Its first provider has been quick so far."""
    fleet = await start_fleet(routing={"hedging": True})
    for _ in range(RECENT_MIN):
        await fleet.complete()
    return fleet


def hang(fleet: Fleet, ship: int) -> Answer:
    """A provider that hears everything and says nothing."""
    answer = fleet.ships[ship].upstream.hang()
    fleet.ships[ship].upstream.respond(lambda _: answer)
    return answer


def told(completion: chat_pb2.Completion) -> list[tuple[str, str]]:
    return [(attempt.provider, attempt.failure_kind) for attempt in completion.attempts]


async def hedged(fleet: Fleet, **options: Any) -> chat_pb2.Completion:
    return await fleet.complete(fleet.question(hedge=True), **options)


async def last_row(fleet: Fleet) -> Any:
    return (await fleet.books.usage())[-1]


async def test_the_second_answers_where_the_first_is_slow_and_alone_is_charged(fleet: Fleet) -> None:
    hanging = hang(fleet, 0)
    completion = await hedged(fleet, timeout=20)
    assert text_of(completion) == "by anthropic"
    assert told(completion) == [("openai", "OVERTAKEN"), ("anthropic", "")]
    assert completion.charge.nanos == fleet.charge(1) == (await fleet.books.charges())[-1]
    row = await last_row(fleet)
    assert (row["provider"], row["attempts"]) == ("anthropic", 2)
    assert completion.cost.nanos > completion.charge.nanos  # one credit is one dollar here: the first one cost us too
    await hanging.client_left()
    await fleet.books.audit()


async def test_a_quick_first_is_all_there_is(fleet: Fleet) -> None:
    usual_s = 60.0
    caller_line = fleet.gateway.house.gateway.admission.routes.lines.line("openai", CHAIN[0].partition("/")[2])
    caller_line.latency._recent_s.extend([usual_s] * 100)
    assert told(await hedged(fleet)) == [("openai", "")]
    assert fleet.asked[1] == 0


async def test_both_fail_as_the_first_does(fleet: Fleet) -> None:
    hanging = hang(fleet, 0)
    fleet.ships[1].down()
    fleet.ships[2].down()
    error = await fleet.failed(fleet.question(hedge=True), timeout=3)
    assert error.code().name == "DEADLINE_EXCEEDED"
    await until(lambda: fleet.asked[1] == 1)
    await hanging.client_left()
    await fleet.books.audit()


async def test_nobody_is_asked_twice_who_did_not_want_it(fleet: Fleet) -> None:
    hang(fleet, 0)
    error = await fleet.failed(fleet.question(), timeout=1)
    assert error.code().name == "DEADLINE_EXCEEDED"
    assert fleet.asked[1] == 0


async def test_the_operator_has_to_allow_it(start_fleet: StartFleet) -> None:
    fleet = await start_fleet()
    for _ in range(RECENT_MIN):
        await fleet.complete()
    hang(fleet, 0)
    await fleet.failed(fleet.question(hedge=True), timeout=1)
    assert fleet.asked[1] == 0


async def test_a_caller_who_leaves_leaves_both(fleet: Fleet) -> None:
    hanging = [hang(fleet, 0), hang(fleet, 1)]
    error = await fleet.failed(fleet.question(hedge=True), timeout=2)
    assert error.code().name == "DEADLINE_EXCEEDED"
    for answer in hanging:
        await answer.client_left()
    await fleet.books.audit()
