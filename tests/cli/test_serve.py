"""The console and the gateway as two programs, as an operator has them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fixtures.until import until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

TRUNKLINE = (sys.executable, "-m", "trunkline_server")


@pytest.fixture
async def served(quiet_place: Path) -> AsyncIterator[Process]:
    """`trunkline serve` in an empty directory, on free ports, answering."""
    given = {f"TRUNKLINE_{door}__ADDRESS": "127.0.0.1:0" for door in ("GRPC", "HTTP")}
    given["TRUNKLINE_GRPC__DRAIN_DELAY_S"] = "0"
    process = await asyncio.create_subprocess_exec(*TRUNKLINE, "serve", stdout=DEVNULL, env=os.environ | given)
    try:
        await until(lambda: process.returncode is not None or _addresses(quiet_place).exists(), limit_s=40)
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def test_from_nothing_to_an_answer(served: Process, quiet_place: Path) -> None:
    assert await asyncio.to_thread(_said, "chat", "hello") == "hello\n"
    looked = await asyncio.to_thread(_said, "doctor")
    address = json.loads(_addresses(quiet_place).read_text())["grpc"]
    assert f"answers at {address}" in looked
    assert "database              answers, and is up to date" in looked
    served.terminate()
    assert await served.wait() == 0


@pytest.mark.usefixtures("served")
async def test_a_closed_pipe_ends_the_console_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    listing = await asyncio.create_subprocess_exec(*TRUNKLINE, "models", stdout=writer, stderr=PIPE)
    os.close(writer)
    _, stderr = await listing.communicate()
    assert (listing.returncode, stderr) == (1, b"")


def _addresses(place: Path) -> Path:
    return place / ".trunkline" / "addresses.json"


def _said(*arguments: str) -> str:
    return subprocess.run([*TRUNKLINE, *arguments], capture_output=True, text=True, check=True).stdout
