"""Waiting for a word."""

from __future__ import annotations

import asyncio

import pytest

from trunkline_server.store.news import heard


@pytest.mark.parametrize("turns", range(6))
async def test_who_is_cancelled_as_the_word_comes_is_cancelled(turns: int) -> None:
    event = asyncio.Event()
    task = asyncio.create_task(heard(event, 60))
    await asyncio.sleep(0)
    event.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    if not task.cancel():
        return await task
    with pytest.raises(asyncio.CancelledError):
        await task
    return None


async def test_a_word_that_does_not_come_is_waited_for_so_long() -> None:
    await heard(asyncio.Event(), 0.001)
