"""Functions of the caller that a model asks for."""

from __future__ import annotations

import asyncio

import pytest

from trunkline.answer import ToolCall
from trunkline.toolbox import Toolbox


async def test_none_goes_on_when_one_fails_for_good() -> None:
    waiting, ended = asyncio.Event(), asyncio.Event()

    async def patient() -> str:
        waiting.set()
        try:
            return await asyncio.Future()
        finally:
            ended.set()

    async def hasty() -> str:
        await waiting.wait()
        raise RuntimeError("no such luck")

    calls = [ToolCall("1", "patient", "{}"), ToolCall("2", "hasty", "{}")]
    async with asyncio.timeout(5):
        with pytest.raises(RuntimeError, match="no such luck"):
            await Toolbox.of([patient, hasty]).run_async(calls)
        await ended.wait()
