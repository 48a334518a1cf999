"""The examples of the pages about the Python client do what the pages say."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.docs.page import page
from tests.fixtures.gateway import RunningGateway, gateway, start_gateway
from tests.fixtures.postgres import database, postgres_server, postgres_url

__all__ = ["database", "gateway", "postgres_server", "postgres_url", "start_gateway"]

LARAVEL = [f"migrating/laravel-ai{name}.md" for name in ("", "-assistant", "-engine", "-integration")]
PAGES = ["python.md", "migrating/litellm.md", *LARAVEL]
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CLAIM = re.compile(r"^.*print\(.*\)  # (.+)$", re.MULTILINE)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", PAGES)
async def test_the_examples_do_what_the_page_says(
    name: str, gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TRUNKLINE_API_KEY", gateway.key)
    monkeypatch.chdir(tmp_path)
    blocks = [block.replace("localhost:50051", gateway.house.grpc_address) for block in _BLOCK.findall(page(name))]
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
