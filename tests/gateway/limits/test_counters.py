"""What every place that counts must do; and that Redis counts exactly as this process does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trunkline_server.core.limiting import Algorithm, Bound
from trunkline_server.gateway.limits.counters import Ask, Counters
from trunkline_server.gateway.limits.local import LocalCounters
from trunkline_server.gateway.limits.shared import SharedCounters, SharingCounters
from trunkline_server.store.redis import RedisSettings, SharedMemory

BEGIN_US = 1_800_000_000_000_000
SECOND_US = 1_000_000
LEASE_US = 5 * SECOND_US
OVER_TIME = [Algorithm.BUCKET, Algorithm.FIXED, Algorithm.SLIDING]


@dataclass
class Clock:
    now_us: int = BEGIN_US

    def __call__(self) -> int:
        return self.now_us


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def shared(valkey_url: str, clock: Clock) -> AsyncIterator[SharedCounters]:
    memory = SharedMemory(RedisSettings(valkey_url, timeout_s=20))
    yield SharedCounters(memory, clock)
    await memory.close()


@pytest.fixture
def local(clock: Clock) -> LocalCounters:
    return LocalCounters(clock)


@pytest.fixture(params=["local", "shared"])
def counters(request: pytest.FixtureRequest, local: LocalCounters, shared: SharedCounters) -> Counters:
    return local if request.param == "local" else shared


def bound(algorithm: Algorithm, amount: int = 3, key: str = "{t}:a", window_us: int = SECOND_US) -> Bound:
    return Bound(key, algorithm, amount, window_us, amount)


async def taken(counters: Counters, of: Bound, times: int, units: int = 1) -> int:
    """How many of so many tries got through."""
    tries = [await counters.take([Ask(of, units)], f"lease{number}", LEASE_US) for number in range(times)]
    return sum(told.refused is None for told in tries)


@pytest.mark.parametrize("algorithm", list(Algorithm))
async def test_lets_through_its_amount_and_no_more(counters: Counters, algorithm: Algorithm) -> None:
    assert await taken(counters, bound(algorithm), 5) == 3


@pytest.mark.parametrize("algorithm", list(Algorithm))
async def test_keys_count_apart(counters: Counters, algorithm: Algorithm) -> None:
    await taken(counters, bound(algorithm), 3)

    assert await taken(counters, bound(algorithm, key="{t}:b"), 5) == 3


async def test_takes_from_all_or_from_none(counters: Counters) -> None:
    wide, narrow = bound(Algorithm.FIXED, 10, "{t}:wide"), bound(Algorithm.FIXED, 2, "{t}:narrow")
    asks = [Ask(wide, 1), Ask(narrow, 1)]

    tries = [await counters.take(asks, "l", LEASE_US) for _ in range(4)]

    assert [told.refused for told in tries] == [None, None, 1, 1]
    assert [look.remaining for look in tries[-1].looks] == [8, 0]


@pytest.mark.parametrize("algorithm", OVER_TIME)
async def test_who_waits_as_long_as_told_gets_through(counters: Counters, clock: Clock, algorithm: Algorithm) -> None:
    clock.now_us += 100_000
    await taken(counters, bound(algorithm), 3)
    refused = await counters.take([Ask(bound(algorithm), 2)], "l", LEASE_US)
    wait_us = refused.looks[0].wait_us

    clock.now_us += wait_us - 2000
    assert await taken(counters, bound(algorithm), 1, units=2) == 0
    clock.now_us += 2000
    assert await taken(counters, bound(algorithm), 1, units=2) == 1


@pytest.mark.parametrize("algorithm", OVER_TIME)
async def test_looking_takes_nothing(counters: Counters, algorithm: Algorithm) -> None:
    await taken(counters, bound(algorithm), 1)

    looks = [(await counters.look([bound(algorithm)])).looks[0].remaining for _ in range(3)]

    assert looks == [2, 2, 2]


@pytest.mark.parametrize("algorithm", OVER_TIME)
async def test_what_a_call_did_not_use_is_there_again(counters: Counters, algorithm: Algorithm) -> None:
    tokens = bound(algorithm, 100)
    told = await counters.take([Ask(tokens, 90)], "l", LEASE_US)

    await counters.give([Ask(tokens, -80, told.now_us)], "l")

    assert (await counters.look([tokens])).looks[0].remaining == 90


@pytest.mark.parametrize("algorithm", OVER_TIME)
async def test_what_a_call_used_beyond_its_estimate_is_owed(counters: Counters, algorithm: Algorithm) -> None:
    tokens = bound(algorithm, 100)
    told = await counters.take([Ask(tokens, 10)], "l", LEASE_US)

    await counters.give([Ask(tokens, 140, told.now_us)], "l")

    assert (await counters.look([tokens])).looks[0].remaining == -50
    assert await taken(counters, tokens, 1) == 0


async def test_a_lease_ends_when_it_is_given_back(counters: Counters) -> None:
    room = bound(Algorithm.LEASES, 1)
    await counters.take([Ask(room, 1)], "first", LEASE_US)
    assert await taken(counters, room, 1) == 0

    await counters.give([Ask(room, -1)], "first")

    assert await taken(counters, room, 1) == 1


async def test_a_lease_that_nobody_ends_ends_by_itself(counters: Counters, clock: Clock) -> None:
    room = bound(Algorithm.LEASES, 1)
    await counters.take([Ask(room, 1)], "first", LEASE_US)

    clock.now_us += LEASE_US - 1
    assert await taken(counters, room, 1) == 0
    clock.now_us += 1
    assert await taken(counters, room, 1) == 1


steps = st.lists(
    st.tuples(
        st.sampled_from(["take", "take", "take", "give", "look"]),
        st.integers(0, 1_500_000),
        st.integers(1, 40),
        st.sampled_from(["a", "b", "c"]),
    ),
    max_size=25,
)
several = st.lists(
    st.tuples(st.sampled_from(list(Algorithm)), st.integers(1, 60), st.integers(SECOND_US, 4 * SECOND_US)),
    min_size=1,
    max_size=4,
)
numbers = iter(range(1_000_000))


@given(several, steps)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_redis_says_the_same_as_this_process(
    clock: Clock,
    shared: SharedCounters,
    several: list[tuple[Algorithm, int, int]],
    steps: list[tuple[str, int, int, str]],
) -> None:
    clock.now_us = BEGIN_US
    local = LocalCounters(clock)
    bounds = [Bound(f"{{t}}:{next(numbers)}", kind, amount, window, amount) for kind, amount, window in several]
    for mode, pause_us, units, lease in steps:
        clock.now_us += pause_us
        refused = [await did(counters, mode, bounds, units, lease) for counters in (local, shared)]
        assert refused[0] == refused[1]
        ours, theirs = (await local.look(bounds)).looks, (await shared.look(bounds)).looks
        assert [look.remaining for look in ours] == [look.remaining for look in theirs]
        for one, other in zip(ours, theirs, strict=True):  # they round at other moments
            assert one.refill_us == pytest.approx(other.refill_us, abs=2)


async def did(counters: Counters, mode: str, bounds: list[Bound], units: int, lease: str) -> bool:
    """One step, and whether it was refused. What is given back was taken a second before."""
    if mode == "take":
        asks = [Ask(each, 1 if each.algorithm is Algorithm.LEASES else min(units, each.most)) for each in bounds]
        return (await counters.take(asks, lease, LEASE_US)).refused is not None
    if mode == "give":
        now_us = (await counters.look(bounds)).now_us
        await counters.give([Ask(each, -units, now_us - SECOND_US) for each in bounds], lease)
    return False


async def test_a_share_is_given_back_as_it_was_taken() -> None:
    memory = SharedMemory(RedisSettings("unix:///nowhere/at/all"))
    counters = SharingCounters(memory, "one", replicas_min=3)
    tokens = Bound("{t}:a", Algorithm.FIXED, 300, 3600 * SECOND_US, 300)

    told = await counters.take([Ask(tokens, 250)], "l", LEASE_US)
    [ask] = told.asks
    await told.by.give([ask._replace(units=30 - ask.units)], "l")

    assert (ask.units, ask.bound.amount) == (100, 100)
    assert (await counters.look([tokens])).looks[0].remaining == 70
    await memory.close()
