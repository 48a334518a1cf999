"""The examples of the tutorials and of the pages about the Python client do what the pages say."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import json
import re
import socket
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.page import page
from tests.fixtures.gateway import StartGateway, start_gateway
from tests.fixtures.postgres import database, postgres_server, postgres_url

__all__ = ["database", "postgres_server", "postgres_url", "start_gateway"]

LARAVEL = [f"migrating/laravel-ai{name}.md" for name in ("", "-assistant", "-engine", "-integration")]
TUTORIALS = [f"tutorials/{name}.md" for name in ("quickstart", "streaming", "budgets", "jobs", "retrieval")]
PAGES = ["python.md", "migrating/litellm.md", *LARAVEL, *TUTORIALS]
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CLAIM = re.compile(r"^.*print\(.*\)  # (.+)$", re.MULTILINE)


@pytest.fixture
def listener_port() -> Iterator[int]:
    """A port that nobody else gets while an example has it."""
    with socket.socket() as kept:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", 0))
        yield kept.getsockname()[1]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", PAGES)
async def test_the_examples_do_what_the_page_says(
    name: str, start_gateway: StartGateway, listener_port: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hosts = json.dumps([f"127.0.0.1:{listener_port}"])
    gateway = await start_gateway(egress={"allow_http_hosts": hosts, "allow_private_hosts": hosts})
    monkeypatch.setenv("TRUNKLINE_API_KEY", gateway.key)
    monkeypatch.chdir(tmp_path)
    text = page(name).replace("localhost:50051", gateway.house.grpc_address)
    blocks = _BLOCK.findall(text.replace("8099", str(listener_port)))
    names: dict[str, Any] = {}

    assert blocks
    try:
        for block in blocks:
            printed = await asyncio.to_thread(run, block, names)
            assert_in_order(_CLAIM.findall(block), printed)
    finally:
        await asyncio.to_thread(close, names)


def run(block: str, names: dict[str, Any]) -> str:
    """Runs one example in the names of those before it; what it printed."""
    code = compile(textwrap.dedent(block), "<example>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        if code.co_flags & inspect.CO_COROUTINE:
            close(names)
            asyncio.run(eval(code, names))
        else:
            exec(code, names)
    return printed.getvalue()


def assert_in_order(claims: list[str], printed: str) -> None:
    at = 0
    for claim in claims:
        found = printed.find(claim, at)
        assert found >= 0, f"{claim!r} is not in {printed[at:]!r}"
        at = found + len(claim)


def close(names: dict[str, Any]) -> None:
    client = names.pop("trunkline", None)
    if client is not None and not inspect.iscoroutinefunction(client.close):
        client.close()
