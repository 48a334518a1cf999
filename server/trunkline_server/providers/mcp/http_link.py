"""Streamable HTTP: each request is a POST of its own, answered by JSON or by a short stream of events.

unknown ──(initialize)──▶ in session ──(404: the server has forgotten us)──▶ unknown
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any
from uuid import UUID

from trunkline_server.providers.client import Response
from trunkline_server.providers.egress import Egress
from trunkline_server.providers.mcp.link import READ_BYTES_MAX, broken, failed
from trunkline_server.wire import mcp
from trunkline_server.wire.frames import EventStream


class _ForgottenError(Exception):
    """The session is over."""


class HttpLink:
    """`read_secrets` gives the server's own headers whenever they are sent."""

    def __init__(
        self, egress: Egress, owner: UUID, uri: str, read_secrets: Callable[[], Awaitable[Mapping[str, str]]]
    ) -> None:
        self._egress = egress
        self._owner = owner
        self._uri = uri
        self._read_secrets = read_secrets
        self._known: dict[str, str] = {}
        self._ids = 0
        self._greeting = asyncio.Lock()
        self.session = 0

    async def ask(self, method: str, params: Mapping[str, Any]) -> bytes:
        await self._greet()
        try:
            return await self._asked(method, params)
        except _ForgottenError:
            self._known = {}
        await self._greet()
        try:
            return await self._asked(method, params)
        except _ForgottenError:
            raise failed("the MCP server forgets its sessions") from None

    async def close(self) -> None:
        """The server ends sessions by itself; telling it could take long."""
        self._known = {}

    async def _greet(self) -> None:
        async with self._greeting:
            if self._known:
                return
            self._known = {mcp.VERSION_HEADER: mcp.VERSION}
            try:
                await self._welcomed()
            except BaseException:
                self._known = {}
                raise
            self.session += 1

    async def _welcomed(self) -> None:
        try:
            version = mcp.read_version(await self._asked("initialize", mcp.greeting()))
        except mcp.McpBroken:
            raise broken() from None
        except _ForgottenError:
            raise failed("there is no MCP server at the address") from None
        self._known[mcp.VERSION_HEADER] = version
        async with self._post(mcp.notification("notifications/initialized")) as response:
            _check(response)

    async def _asked(self, method: str, params: Mapping[str, Any]) -> bytes:
        self._ids += 1
        own = self._ids
        async with self._post(mcp.request(own, method, params)) as response:
            _check(response)
            if session := response.headers.get(mcp.SESSION_HEADER):
                self._known[mcp.SESSION_HEADER] = session
            return await _answer(response, own)

    @asynccontextmanager
    async def _post(self, body: bytes) -> AsyncIterator[Response]:
        ours = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        headers = {**await self._read_secrets(), **ours, **self._known}
        sent = self._egress.exchange("POST", self._uri, body, headers, owner=self._owner, field="server")
        async with sent as response:
            yield response


def _check(response: Response) -> None:
    if response.status == 404:
        raise _ForgottenError
    if not 200 <= response.status < 300:
        raise failed("the MCP server answered with an error", httpStatus=str(response.status))


async def _answer(response: Response, own: int) -> bytes:
    """The result, among what else the server has to say."""
    kind = response.headers.get("content-type", "")
    messages = _events(response) if kind.startswith("text/event-stream") else _whole(response)
    async with aclosing(messages):
        async for message in messages:
            told = _read(message)
            if isinstance(told, mcp.Answer) and told.id == own:
                if told.result is None:
                    raise failed("the MCP server refused the request")
                return told.result
    raise broken()


def _read(message: bytes) -> mcp.Answer | mcp.Asked | mcp.Changed | None:
    try:
        return mcp.read(message)
    except mcp.McpBroken:
        raise broken() from None


async def _whole(response: Response) -> AsyncGenerator[bytes, None]:
    yield b"".join([piece async for piece in _bounded(response)])


async def _events(response: Response) -> AsyncGenerator[bytes, None]:
    stream = EventStream()
    async with aclosing(_bounded(response)) as pieces:
        async for piece in pieces:
            for _, data in stream.feed(piece):
                if data:
                    yield data


async def _bounded(response: Response) -> AsyncGenerator[bytes, None]:
    left = READ_BYTES_MAX
    async with aclosing(response.chunks()) as pieces:
        async for piece in pieces:
            left -= len(piece)
            if left < 0:
                raise failed(f"the MCP server sent more than {READ_BYTES_MAX} bytes")
            yield piece
