"""The examples of `docs/http.md` run, and answer as they say."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.docs.page import page
from tests.fixtures.gateway import RunningGateway, gateway, start_gateway
from tests.fixtures.postgres import database, postgres_server, postgres_url

__all__ = ["database", "gateway", "postgres_server", "postgres_url", "start_gateway"]

PAGE = page("http.md")
FIRST, *EXAMPLES = re.findall(r"```sh\n(.*?)```(?:\n\n```text\n(.*?)```)?", PAGE, re.DOTALL)


def test_there_are_examples_with_answers() -> None:
    assert len(EXAMPLES) >= 8
    assert all(answer for _, answer in EXAMPLES)


@pytest.mark.e2e
async def test_every_example_answers_as_it_says(gateway: RunningGateway, tmp_path: Path) -> None:
    directory = tmp_path / ".trunkline"
    directory.mkdir()
    (directory / "admin.key").write_text(gateway.key)
    variables = FIRST[0].replace("127.0.0.1:8080", gateway.house.http_address)
    for command, answer in EXAMPLES:
        said = await run(variables + command, tmp_path)
        for line in answer.splitlines():
            assert line in said, command


async def run(script: str, directory: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        *("bash", "-ec", script), cwd=directory, stdout=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, script
    return said.decode()
