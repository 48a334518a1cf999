"""A way to a provider with a key that is not the gateway's: read when a request goes out, and sent with that one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import TypeAlias

from trunkline_server.providers.client import Response, Transport
from trunkline_server.wire.http import HttpRequest

ReadKey: TypeAlias = Callable[[], Awaitable[str]]
"""Raises UpstreamFailure where there is no key to send."""


class WithKey:
    """Another transport, without a key of its own, whose connections all accounts share."""

    def __init__(self, transport: Transport, sign: Callable[[str], Mapping[str, str]], read_key: ReadKey) -> None:
        self._transport = transport
        self._sign = sign
        self._read_key = read_key

    def open(self, request: HttpRequest) -> AbstractAsyncContextManager[Response]:
        return self._opened(request)

    @asynccontextmanager
    async def _opened(self, request: HttpRequest) -> AsyncIterator[Response]:
        headers = {**request.headers, **self._sign(await self._read_key())}
        async with self._transport.open(replace(request, headers=headers)) as response:
            yield response
