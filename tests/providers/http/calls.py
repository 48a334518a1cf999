"""Calls of the client at a scripted provider."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from tests.fixtures.upstream import Answer, Upstream
from trunkline_server.core.failure import UpstreamFailure
from trunkline_server.providers.client import ClientSettings, HttpTransport
from trunkline_server.wire.http import HttpRequest

SECRET = "sk-canary-0123456789"
CHAT = HttpRequest("POST", "/v1/chat?x=%2F", {"content-type": "application/json"}, b'{"a":1}')
CANCEL_S_MAX = 0.05


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream() as server:
        yield server


@pytest.fixture
async def transport(upstream: Upstream) -> AsyncIterator[HttpTransport]:
    client = client_of(upstream)
    yield client
    await client.close()


def client_of(upstream: Upstream, settings: ClientSettings | None = None) -> HttpTransport:
    return HttpTransport(f"{upstream.url}/base/", {"authorization": f"Bearer {SECRET}"}, settings)


async def body_of(transport: HttpTransport, request: HttpRequest = CHAT) -> list[bytes]:
    async with transport.open(request) as response:
        return [piece async for piece in response.chunks()]


async def failure_of(transport: HttpTransport, request: HttpRequest = CHAT) -> UpstreamFailure:
    with pytest.raises(UpstreamFailure) as caught:
        await body_of(transport, request)
    return caught.value


async def cancelled_while(transport: HttpTransport, answer: Answer, started: asyncio.Event | None = None) -> float:
    """Seconds from the cancellation of a call to the closing of its socket."""
    async with asyncio.timeout(5):
        call = asyncio.create_task(listen(transport, started))
        await (started.wait() if started else answer.asked())
        begun = time.monotonic()
        call.cancel()
        left_at = await answer.client_left()
    with pytest.raises(asyncio.CancelledError):
        await call
    return left_at - begun


async def listen(transport: HttpTransport, started: asyncio.Event | None) -> None:
    async with transport.open(CHAT) as response:
        async for _ in response.chunks():
            if started:
                started.set()


async def read_slowly(transport: HttpTransport, answer: Answer, request: HttpRequest = CHAT) -> int:
    """The size of an answer, of which nothing more is read until its provider has to wait."""
    async with transport.open(request) as response:
        pieces = response.chunks()
        size = len(await anext(pieces))
        with pytest.raises(TimeoutError):
            await answer.sent(within_s=0.2)
        async for piece in pieces:
            size += len(piece)
    return size
