"""The algorithms against what they promise, over any run of calls, on a clock of the test."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline_server.core.limiting import STATES, Algorithm, Bound, State

BEGIN_US = 1_800_000_000_000_000
OVER_TIME = [Algorithm.BUCKET, Algorithm.FIXED, Algorithm.SLIDING]

amounts = st.integers(1, 50)
windows = st.integers(1_000_000, 7_000_000)
runs = st.lists(st.tuples(st.integers(0, 3_000_000), st.integers(1, 5)), max_size=60)


def bound_of(algorithm: Algorithm, amount: int, window_us: int) -> Bound:
    return Bound("any", algorithm, amount, window_us, amount)


def passed(state: State, bound: Bound, run: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """When which calls got through."""
    now_us, through = BEGIN_US, []
    for pause_us, cost in run:
        now_us, units = now_us + pause_us, min(cost, bound.most)
        state.roll(bound, now_us)
        if state.look(bound, units, now_us).wait_us == 0:
            add(state, units, now_us)
            through.append((now_us, units))
    return through


def add(state: State, units: int, now_us: int) -> None:
    assert hasattr(state, "add")
    state.add(units, now_us)


def used_within(through: Sequence[tuple[int, int]], start_us: int, end_us: int) -> int:
    return sum(units for at_us, units in through if start_us <= at_us < end_us)


@given(amounts, windows, runs)
def test_a_bucket_lets_no_more_through_than_its_burst_and_what_refilled(
    amount: int, window_us: int, run: list[tuple[int, int]]
) -> None:
    bound = bound_of(Algorithm.BUCKET, amount, window_us)

    through = passed(STATES[Algorithm.BUCKET](), bound, run)

    for place, (start_us, _) in enumerate(through):
        for end_us, _ in through[place:]:
            refilled = (end_us - start_us) * amount / window_us
            assert used_within(through, start_us, end_us + 1) <= amount + refilled + 0.1


@given(amounts, windows, runs)
def test_a_fixed_window_lets_no_more_through_than_its_amount(
    amount: int, window_us: int, run: list[tuple[int, int]]
) -> None:
    through = passed(STATES[Algorithm.FIXED](), bound_of(Algorithm.FIXED, amount, window_us), run)

    for at_us, _ in through:
        start_us = at_us - at_us % window_us
        assert used_within(through, start_us, start_us + window_us) <= amount


@given(amounts, windows, runs)
def test_a_sliding_window_weighs_the_window_before(amount: int, window_us: int, run: list[tuple[int, int]]) -> None:
    through = passed(STATES[Algorithm.SLIDING](), bound_of(Algorithm.SLIDING, amount, window_us), run)

    for at_us, _ in through:
        start_us = at_us - at_us % window_us
        before = used_within(through, start_us - window_us, start_us)
        weighed = before * (1 - (at_us - start_us) / window_us) + used_within(through, start_us, at_us + 1)
        assert weighed <= amount + 0.1


@pytest.mark.parametrize("algorithm", OVER_TIME)
@given(amounts, windows, runs, st.integers(1, 5))
def test_who_waits_as_long_as_told_gets_through_and_no_sooner(
    algorithm: Algorithm, amount: int, window_us: int, run: list[tuple[int, int]], cost: int
) -> None:
    bound, state = bound_of(algorithm, amount, window_us), STATES[algorithm]()
    passed(state, bound, run)
    now_us, units = BEGIN_US + sum(pause_us for pause_us, _ in run), min(cost, bound.most)

    wait_us = state.look(bound, units, now_us).wait_us

    early_us = wait_us - 1000 - window_us // 500  # what rounding may take is worth less: a unit lasts a window at most
    if early_us > 0:
        state.roll(bound, now_us + early_us)
        assert state.look(bound, units, now_us + early_us).wait_us > 0
    state.roll(bound, now_us + wait_us)
    assert state.look(bound, units, now_us + wait_us).wait_us == 0


@pytest.mark.parametrize("algorithm", OVER_TIME)
@given(amounts, windows, runs)
def test_what_is_given_back_at_once_was_never_taken(
    algorithm: Algorithm, amount: int, window_us: int, run: list[tuple[int, int]]
) -> None:
    bound, state = bound_of(algorithm, amount, window_us), STATES[algorithm]()
    through = passed(state, bound, run)
    now_us = BEGIN_US + sum(pause_us for pause_us, _ in run)
    state.roll(bound, now_us)
    before = state.look(bound, 0, now_us).remaining

    for _, units in through[:1]:
        add(state, units, now_us)
        add(state, -units, now_us)

    assert state.look(bound, 0, now_us).remaining == before


@pytest.mark.parametrize("algorithm", OVER_TIME)
@given(amounts, windows, runs)
def test_all_is_back_when_it_is_told_to_be(
    algorithm: Algorithm, amount: int, window_us: int, run: list[tuple[int, int]]
) -> None:
    bound, state = bound_of(algorithm, amount, window_us), STATES[algorithm]()
    passed(state, bound, run)
    now_us = BEGIN_US + sum(pause_us for pause_us, _ in run)

    then_us = now_us + state.look(bound, 0, now_us).refill_us

    state.roll(bound, then_us)
    assert state.look(bound, 0, then_us).remaining == amount


@pytest.mark.parametrize(("amount", "replicas"), [(10, 3), (1, 3), (2, 5), (100, 1)])
def test_shares_are_together_no_more_than_the_whole(amount: int, replicas: int) -> None:
    whole = bound_of(Algorithm.BUCKET, amount, 1_000_000)

    share = whole.share(replicas)

    assert share.amount >= 1
    assert replicas * share.amount / share.window_us <= whole.amount / whole.window_us * 1.01
