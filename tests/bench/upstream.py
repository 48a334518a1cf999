"""A provider as fast as Python allows: one raw protocol, every answer made beforehand.

A word in the prompt decides the answer: `burst` (many chunks a write), `paced` (a chunk every 20 ms), else a whole one.
One model is not there. Where there is a tool, it is called, each time.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any, Final, cast

import uvloop

from tests.bench.child import say, until_let_go

WORD: Final = " lorem"
WORDS: Final = 140  # a whole answer of 1.2 KiB
BURST_CHUNKS: Final = 300
BURST_SIZE: Final = 32
BURST_PAUSE_S: Final = 0.01
PACED_CHUNKS: Final = 150
PACED_PAUSE_S: Final = 0.02

_USAGE: Final = {"prompt_tokens": 20, "completion_tokens": WORDS, "total_tokens": 20 + WORDS}
_HEAD: Final = {"id": "chatcmpl-0123456789", "created": 1750000000, "model": "gpt-4o-mini-2024-07-18"}


def _whole(finish: str = "stop", **said: object) -> bytes:
    message = {"role": "assistant", "content": WORD * WORDS, "refusal": None, **said}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    body = json.dumps({**_HEAD, "object": "chat.completion", "choices": [choice], "usage": _USAGE}).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


def _absent() -> bytes:
    error = {"message": "The model does not exist", "type": "invalid_request_error", "code": "model_not_found"}
    body = json.dumps({"error": error}).encode()
    return b"HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )


def _event(delta: dict[str, str] | None, finish: str | None = None) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
    usage = _USAGE if delta is None else None
    chunk = {**_HEAD, "object": "chat.completion.chunk", "choices": choices, "usage": usage}
    return b"data: %b\n\n" % json.dumps(chunk).encode()


def _transfer(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


WHOLE: Final = _whole()
TOOL: Final = "add"
_CALL: Final = {
    "id": "call_0123456789",
    "type": "function",
    "function": {"name": TOOL, "arguments": '{"a": 1, "b": 2}'},
}
CALLING: Final = _whole("tool_calls", content=None, tool_calls=[_CALL])
ABSENT_MODEL: Final = "gpt-4o"
ABSENT: Final = _absent()
_ASKS_ABSENT: Final = f'"{ABSENT_MODEL}"'.encode()
STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)
STREAM_END: Final = (
    _transfer(_event({}, "stop")) + _transfer(_event(None)) + _transfer(b"data: [DONE]\n\n") + b"0\r\n\r\n"
)
CHUNK: Final = _transfer(_event({"content": WORD}))


class Connection(asyncio.Protocol):
    """Takes one request after another, each with a content length."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._open = False

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (body := self._take()) is not None:
            self._answer(body)

    def _take(self) -> bytes | None:
        """The body of the next request, once all of it is there."""
        head, blank, rest = self._buffer.partition(b"\r\n\r\n")
        if not blank:
            return None
        size = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or b"0")
        if len(rest) < size:
            return None
        self._buffer = rest[size:]
        return rest[:size]

    def _answer(self, body: bytes) -> None:
        if b"burst" in body:
            sizes = [BURST_SIZE] * (BURST_CHUNKS // BURST_SIZE) + [BURST_CHUNKS % BURST_SIZE]
            self._stream(iter(sizes), BURST_PAUSE_S)
        elif b"paced" in body:
            self._stream(iter([1] * PACED_CHUNKS), PACED_PAUSE_S)
        elif b'"tools"' in body:
            self._transport.write(CALLING)
        else:
            self._transport.write(ABSENT if _ASKS_ABSENT in body else WHOLE)

    def _stream(self, sizes: Iterator[int], pause_s: float) -> None:
        self._transport.write(STREAM_HEAD)
        self._go_on(sizes, pause_s, self._loop.time())

    def _go_on(self, sizes: Iterator[int], pause_s: float, due: float) -> None:
        if not self._open:
            return
        size = next(sizes, 0)
        self._transport.write(CHUNK * size or STREAM_END)
        if size:
            self._loop.call_at(due + pause_s, self._go_on, sizes, pause_s, due + pause_s)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0)
    port: Any = server.sockets[0].getsockname()[1]
    say({"url": f"http://127.0.0.1:{port}/v1"})
    await until_let_go()


if __name__ == "__main__":
    uvloop.run(main())
