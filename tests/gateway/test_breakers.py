"""Breakers on a clock that the test turns: when they open, whom they let through, how they come back."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from trunkline_server.gateway.breakers import EARLY_S, UNCOUNTED, WINDOW_S, BreakerRules, Gate, Outcome, Way
from trunkline_server.gateway.window import Window

OPEN_S = 30.0
LONGEST_S = OPEN_S * 1.1


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gate(clock: Clock) -> Gate:
    return Gate("openai/gpt-4o", BreakerRules(), clock)


def call(gate: Gate, outcome: Outcome) -> bool:
    """Whether the call went through."""
    generation = gate.acquire()
    if generation is not None:
        gate.release(generation, outcome)
    return generation is not None


def opened(gate: Gate) -> Gate:
    for _ in range(5):
        call(gate, Outcome.DOWN)
    assert not gate.is_closed
    return gate


def state(gate: Gate) -> str:
    return gate.breaker.current_state


def test_five_in_a_row_open_it(gate: Gate) -> None:
    for _ in range(4):
        call(gate, Outcome.DOWN)
    call(gate, Outcome.SUCCESS)
    for _ in range(4):
        call(gate, Outcome.DOWN)
    assert gate.is_closed
    call(gate, Outcome.DOWN)
    assert state(gate) == "open"


def test_callers_who_leave_count_for_nothing(gate: Gate) -> None:
    for _ in range(4):
        call(gate, Outcome.DOWN)
        call(gate, Outcome.NEUTRAL)
    for _ in range(200):
        call(gate, Outcome.NEUTRAL)
    assert (gate.is_closed, gate.counts().calls) == (True, 4)
    call(gate, Outcome.DOWN)
    assert not gate.is_closed


@pytest.mark.parametrize(("outcome", "needed"), [(Outcome.FAILURE, 10), (Outcome.SLOW, 16)])
def test_a_share_of_twenty_calls_opens_it(gate: Gate, outcome: Outcome, needed: int) -> None:
    for _ in range(20 - needed):
        call(gate, Outcome.SUCCESS)
    for _ in range(needed - 1):
        call(gate, outcome)
    assert gate.is_closed
    call(gate, outcome)
    assert state(gate) == "open"


def test_what_is_older_than_the_window_does_not_count(gate: Gate, clock: Clock) -> None:
    for _ in range(19):
        call(gate, Outcome.FAILURE)
    clock.now_s += WINDOW_S + 3
    call(gate, Outcome.FAILURE)
    assert (gate.is_closed, gate.counts().calls) == (True, 1)


def test_an_open_one_lets_nobody_through_until_it_is_due(gate: Gate, clock: Clock) -> None:
    opened(gate)
    clock.now_s += OPEN_S * 0.89
    assert not call(gate, Outcome.SUCCESS)
    clock.now_s += OPEN_S * 0.22
    assert call(gate, Outcome.SUCCESS)
    assert state(gate) == "half-open"


def test_one_probe_at_a_time_and_two_good_ones_close_it(gate: Gate, clock: Clock) -> None:
    opened(gate)
    clock.now_s += LONGEST_S
    probe = gate.acquire()
    assert probe is not None
    assert [gate.acquire() for _ in range(50)] == [None] * 50
    gate.release(probe, Outcome.SUCCESS)
    assert state(gate) == "half-open"
    assert call(gate, Outcome.SUCCESS)
    assert gate.is_closed


def test_a_probe_that_was_cancelled_gives_its_turn_back(gate: Gate, clock: Clock) -> None:
    opened(gate)
    clock.now_s += LONGEST_S
    for _ in range(3):
        assert call(gate, Outcome.NEUTRAL)
    assert state(gate) == "half-open"
    assert call(gate, Outcome.SUCCESS)
    assert call(gate, Outcome.SUCCESS)
    assert gate.is_closed


@pytest.mark.parametrize("outcome", [Outcome.DOWN, Outcome.FAILURE, Outcome.SLOW])
def test_a_bad_probe_opens_it_for_longer(gate: Gate, clock: Clock, outcome: Outcome) -> None:
    opened(gate)
    for opens in range(2, 14):
        clock.now_s = gate.opens_until_s
        assert call(gate, outcome)
        wait_s = min(OPEN_S * opens, 300)
        assert wait_s * 0.9 <= gate.opens_until_s - clock.now_s <= wait_s * 1.1


def test_late_results_of_an_earlier_state_say_nothing(gate: Gate, clock: Clock) -> None:
    early = [gate.acquire() for _ in range(10)]
    opened(gate)
    clock.now_s += LONGEST_S
    probe = gate.acquire()
    for generation in early:
        assert generation is not None
        gate.release(generation, Outcome.SUCCESS)
    assert (state(gate), gate.acquire()) == ("half-open", None)
    assert probe is not None
    gate.release(probe, Outcome.FAILURE)
    gate.release(probe, Outcome.SUCCESS)
    assert state(gate) == "open"


def test_where_there_is_nowhere_else_to_go_it_is_tried_early_but_not_often(gate: Gate, clock: Clock) -> None:
    opened(gate)
    until_s = gate.opens_until_s
    probes = 0
    while clock.now_s < until_s - 1:
        generation = gate.acquire(Way.EARLY)
        if generation is not None:
            probes += 1
            gate.release(generation, Outcome.DOWN)
            until_s = max(until_s, gate.opens_until_s)
            assert gate.opens_until_s - clock.now_s <= LONGEST_S
        clock.now_s += 0.1
        if probes == 20:
            break
    assert probes <= (clock.now_s - 1000.0) / EARLY_S


def test_one_that_is_held_open_stays_so_until_it_is_reset(gate: Gate, clock: Clock) -> None:
    gate.hold_open()
    clock.now_s += 1e6
    assert gate.acquire(Way.EARLY) is None
    gate.reset()
    assert gate.is_closed
    assert gate.counts().calls == 0
    call(gate, Outcome.DOWN)
    assert gate.is_closed


def test_a_trip_opens_at_once(gate: Gate) -> None:
    generation = gate.acquire()
    assert generation is not None
    gate.trip(generation)
    assert state(gate) == "open"


# A provider that is sick for a while, 50 calls a second.


def _simulated(gate: Gate, clock: Clock, sick: Callable[[], Outcome]) -> tuple[float, int, float]:
    """Seconds until it opened, calls that it let through while open, seconds after the end until it was closed."""
    began_s, ends_s = clock.now_s, clock.now_s + 60
    opened_s, leaked = None, 0
    while clock.now_s < ends_s + 120:
        is_sick = clock.now_s < ends_s
        was_closed = gate.is_closed
        passed = call(gate, sick() if is_sick else Outcome.SUCCESS)
        if opened_s is None and not gate.is_closed:
            opened_s = clock.now_s
        leaked += is_sick and passed and not was_closed
        if not is_sick and gate.is_closed:
            break
        clock.now_s += 0.02
    assert opened_s is not None
    return opened_s - began_s, leaked, clock.now_s - ends_s


@pytest.mark.parametrize(
    ("name", "sick"),
    [
        ("down", lambda: Outcome.DOWN),
        ("half", lambda: random.choice([Outcome.FAILURE, Outcome.SUCCESS])),
        ("slow", lambda: Outcome.SLOW),
    ],
)
def test_a_sick_provider_is_left_alone_and_found_again(
    gate: Gate, clock: Clock, name: str, sick: Callable[[], Outcome]
) -> None:
    random.seed(7)
    opened_s, leaked, recovered_s = _simulated(gate, clock, sick)
    assert opened_s <= 2
    assert leaked <= 4
    assert recovered_s <= 2 * LONGEST_S + 0.1


def test_a_window_counts_exactly_what_is_in_it() -> None:
    random.seed(11)
    window, calls, now_s = Window(30), [], 5.0
    for _ in range(2000):
        now_s += random.expovariate(1) * 2
        failed, slow = random.random() < 0.5, random.random() < 0.2
        window.add(now_s, failed=failed, slow=slow)
        calls.append((int(now_s / 3), failed, slow))
        live = [each for each in calls if each[0] > int(now_s / 3) - 10]
        assert window.calls == len(live)
        assert window.failures == sum(each[1] for each in live)
        assert window.slow == sum(each[2] for each in live)


def failing_often(gate: Gate) -> Gate:
    for count in range(40):
        call(gate, Outcome.FAILURE if count % 2 else Outcome.SUCCESS)
    assert not gate.is_closed
    return gate


def test_one_that_only_fails_too_often_can_be_borne_with(gate: Gate) -> None:
    failing_often(gate)
    assert gate.fails_too_often
    assert gate.acquire() is None
    assert gate.may_pass(Way.ANYWAY)
    assert gate.acquire(Way.ANYWAY) == UNCOUNTED
    for _ in range(5):
        gate.release(UNCOUNTED, Outcome.SUCCESS)
    assert not gate.is_closed


def test_one_that_is_down_or_held_open_is_not_borne_with(gate: Gate) -> None:
    assert opened(gate).acquire(Way.ANYWAY) is None
    gate.reset()
    failing_often(gate).hold_open()
    assert gate.acquire(Way.ANYWAY) is None


def test_one_that_fails_too_often_is_probed_by_one_call_at_a_time_like_any_other(gate: Gate, clock: Clock) -> None:
    failing_often(gate)
    clock.now_s += LONGEST_S
    generation = gate.acquire(Way.ANYWAY)
    assert generation not in (None, UNCOUNTED)
    assert gate.acquire() is None
    gate.release(generation or 0, Outcome.SUCCESS)
    assert call(gate, Outcome.SUCCESS)
    assert gate.is_closed
    assert not gate.fails_too_often
