"""How long a provider is waited for."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.gateway.patience import SETTLE_RESERVE_S, Limits, Patience

FOREVER = 3600.0


def in_s(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def never() -> None:
    await asyncio.get_running_loop().create_future()


async def test_no_first_word() -> None:
    with pytest.raises(UpstreamFailure) as caught, Patience(Limits(0.01, FOREVER), in_s(FOREVER)):
        await never()
    assert caught.value.kind is FailureKind.TIMEOUT_FIRST_TOKEN


async def test_silence_after_the_first_word() -> None:
    async def say_one_word() -> None:
        with Patience(Limits(0.02, 0.01), in_s(FOREVER)) as patience:
            patience.heard()
            await never()

    with pytest.raises(UpstreamFailure) as caught:
        await say_one_word()
    assert caught.value.kind is FailureKind.TIMEOUT_IDLE


async def test_one_attempt_has_a_limit_of_its_own() -> None:
    with pytest.raises(UpstreamFailure), Patience(Limits(FOREVER, FOREVER, attempt_s=0.01), in_s(FOREVER)):
        await never()


def test_a_timer_that_is_due_a_little_early_tells_of_the_deadline_too() -> None:
    """As those of uvloop, which count milliseconds."""

    async def wait(seconds: float) -> Reason:
        with pytest.raises(TrunklineError) as caught, Patience(Limits(FOREVER, FOREVER), in_s(seconds)):
            await never()
        return caught.value.reason

    async def waits() -> set[Reason]:
        each = [wait(SETTLE_RESERVE_S + 0.01 + number / 10_000) for number in range(20)]
        return set(await asyncio.gather(*each))

    assert uvloop.run(waits()) == {Reason.DEADLINE}


async def test_the_deadline_of_the_call_comes_first() -> None:
    deadline = in_s(SETTLE_RESERVE_S + 0.01)
    with pytest.raises(TrunklineError) as caught, Patience(Limits(FOREVER, FOREVER), deadline):
        await never()
    assert caught.value.reason is Reason.DEADLINE


async def test_a_cancelled_caller_stays_cancelled() -> None:
    async def wait() -> None:
        with Patience(Limits(FOREVER, FOREVER), in_s(FOREVER)):
            await never()

    task = asyncio.get_running_loop().create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_whoever_speaks_in_time_is_left_alone() -> None:
    with Patience(Limits(0.5, 0.5), in_s(FOREVER)) as patience:
        for _ in range(3):
            await asyncio.sleep(0)
            patience.heard()
