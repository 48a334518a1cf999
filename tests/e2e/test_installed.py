"""The distributions as users install them: into an environment that has nothing else, and away from the tree."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

import grpc
import pytest

from tests.fixtures.gateway import question, text_of
from tests.fixtures.served import Client, Served
from trunkline.v1 import chat_pb2

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]

ROOT: Final = Path(__file__).parents[2]
UV: Final = str(ROOT / ".tools" / "bin" / "uv")


async def run(*command: str | Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


async def installed(folder: Path) -> Path:
    """The Python of an environment with the distributions, and what they need as it is locked."""
    python, dist = folder / "venv" / "bin" / "python", folder / "dist"
    for source in (ROOT / "clients" / "python", ROOT):
        await run(UV, "build", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", dist, source)
    await run(UV, "venv", "--python", sys.executable, folder / "venv")
    locked = ("--requirements", ROOT / "deploy" / "requirements.lock")
    await run(UV, "pip", "install", "--python", python, "--require-hashes", *locked)
    await run(UV, "pip", "install", "--python", python, "--no-deps", *dist.glob("*.whl"))
    await run(UV, "pip", "check", "--python", python)
    return python


async def test_the_wheels_serve(tmp_path: Path) -> None:
    """From a closed folder: who starts it as root has a database that runs as somebody who may not go there."""
    python = await installed(tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    with (home / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(python, "-m", "trunkline_server", "serve"),
            stdout=log,
            stderr=log,
            cwd=home,
            env={"TRUNKLINE_GRPC__ADDRESS": "127.0.0.1:0", "TRUNKLINE_HTTP__ADDRESS": "127.0.0.1:0"},
        )
    served = Served(process, home / ".trunkline", home / "log")
    try:
        await served.until_serving()
        async with grpc.aio.insecure_channel(served.address) as channel:
            client = Client(channel, served.key, "ada")
            asked = chat_pb2.CompleteRequest(input=question("hello"))
            answer = await client.chat.Complete(asked, metadata=client.metadata, timeout=20)
    finally:
        await served.end()
    assert text_of(answer.completion) == "hello"
