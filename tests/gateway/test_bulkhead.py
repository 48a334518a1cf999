"""Places at a provider: never too many, none lost."""

from __future__ import annotations

import asyncio

import pytest

from trunkline_server.gateway.bulkhead import Bulkhead


async def test_who_comes_too_late_waits_for_a_place() -> None:
    bulkhead = Bulkhead(1)
    assert bulkhead.take()
    assert not bulkhead.take()
    waiting = [asyncio.create_task(bulkhead.wait(10)) for _ in range(2)]
    await asyncio.sleep(0)
    bulkhead.leave()
    assert await waiting[0]
    assert (bulkhead.taken, waiting[1].done()) == (1, False)
    bulkhead.leave()
    assert await waiting[1]
    bulkhead.leave()
    assert bulkhead.taken == 0


async def test_nobody_waits_for_ever() -> None:
    bulkhead = Bulkhead(1)
    bulkhead.take()
    assert not await bulkhead.wait(0.01)
    bulkhead.leave()
    assert bulkhead.taken == 0


async def test_who_leaves_while_waiting_keeps_no_place() -> None:
    bulkhead = Bulkhead(1)
    bulkhead.take()
    waiting = asyncio.create_task(bulkhead.wait(10))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    bulkhead.leave()
    assert bulkhead.taken == 0


async def test_who_leaves_just_when_a_place_comes_gives_it_back() -> None:
    bulkhead = Bulkhead(1)
    bulkhead.take()
    waiting = asyncio.create_task(bulkhead.wait(10))
    await asyncio.sleep(0)
    bulkhead.leave()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert bulkhead.taken == 0
