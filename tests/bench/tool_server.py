"""A tool behind an address, in a process of its own: it always answers the same, on connections that are kept."""

from __future__ import annotations

import asyncio
from typing import Final

import uvloop

from tests.bench.child import say, until_let_go

ANSWER: Final = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{"sum":3}'


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while head := await _head(reader):
        length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length or b"0"))
        writer.write(ANSWER)
    writer.close()


async def _head(reader: asyncio.StreamReader) -> bytes:
    """Empty where the caller has left."""
    try:
        return (await reader.readuntil(b"\r\n\r\n")).lower()
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    say({"port": server.sockets[0].getsockname()[1]})
    await until_let_go()
    server.close()


if __name__ == "__main__":
    uvloop.run(main())
