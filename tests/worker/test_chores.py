"""Chores go on: one that fails today is done again tomorrow."""

from __future__ import annotations

import asyncio
import logging

import pytest

from trunkline_server.core.errors import store_unavailable
from trunkline_server.worker.chores import PARTS_MAX, Chore, in_parts


async def test_what_is_done_seldom_is_done_soon_for_the_first_time() -> None:
    done = asyncio.Event()

    async def work() -> None:
        done.set()

    repeating = asyncio.create_task(Chore("sync", 86_400, work, first_within_s=0.01).repeat())
    await asyncio.wait_for(done.wait(), 5)
    assert not repeating.done()
    repeating.cancel()
    await asyncio.gather(repeating, return_exceptions=True)


@pytest.mark.parametrize("error", [store_unavailable(), OSError("canary"), ValueError("canary")])
async def test_a_chore_outlives_its_failures(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    done = asyncio.Event()
    failures = [error, error]

    async def work() -> None:
        if failures:
            raise failures.pop()
        done.set()

    repeating = asyncio.create_task(Chore("sweep", 0.001, work).repeat())
    await asyncio.wait_for(done.wait(), 5)
    repeating.cancel()
    await asyncio.gather(repeating, return_exceptions=True)
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert "sweep" in caplog.text
    assert "canary" not in caplog.text


async def test_work_in_parts_goes_on_until_a_part_finds_nothing() -> None:
    found = [5, 5, 2, 0, 9]

    async def part() -> int:
        return found.pop(0)

    await in_parts(part)()
    assert found == [9]


async def test_work_in_parts_lets_others_have_their_turn() -> None:
    done = 0

    async def part() -> int:
        nonlocal done
        done += 1
        return 1

    await in_parts(part)()
    assert done == PARTS_MAX
