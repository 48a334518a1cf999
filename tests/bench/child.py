"""How a process of the bench talks to the one that started it: a line of JSON each way; the end of stdin is the end."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import msgspec


def say(news: object) -> None:
    """One line up."""
    sys.stdout.buffer.write(msgspec.json.encode(news) + b"\n")
    sys.stdout.buffer.flush()


async def orders() -> AsyncIterator[Any]:
    """The lines that come down."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        yield msgspec.json.decode(line)


async def until_let_go() -> None:
    """Waits until nobody is there any more to give orders."""
    async for _ in orders():
        pass
