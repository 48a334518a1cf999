"""A stream whose connection breaks, and a client that goes on with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.fixtures.dialects import DIALECTS
from tests.fixtures.gateway import StartGateway
from tests.fixtures.upstream import Upstream
from trunkline import AsyncTrunkline
from trunkline.errors import Unavailable

OPENAI = DIALECTS[0]


class Relay:
    """Stands between a client and a gateway, and can be cut."""

    def __init__(self, target: str) -> None:
        self._host, _, self._port = target.rpartition(":")
        self._open: set[asyncio.StreamWriter] = set()
        self.connections = 0

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        away_reader, away_writer = await asyncio.open_connection(self._host, int(self._port))
        self._open |= {writer, away_writer}
        await asyncio.gather(_pass(reader, away_writer), _pass(away_reader, writer))

    def cut(self) -> None:
        for writer in self._open:
            writer.close()
        self._open.clear()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
    except ConnectionError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def relayed(target: str) -> AsyncIterator[tuple[Relay, str]]:
    relay = Relay(target)
    server = await asyncio.start_server(relay.take, "127.0.0.1", 0)
    try:
        yield relay, f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        relay.cut()
        server.close()


@pytest.mark.parametrize("resumable", [True, False])
async def test_a_connection_that_breaks(start_gateway: StartGateway, resumable: bool) -> None:
    async with Upstream() as upstream:
        gateway = await start_gateway(OPENAI.environment(upstream.url))
        more = asyncio.Event()
        upstream.stream([OPENAI.opening(), OPENAI.delta("one "), more, OPENAI.delta("two"), OPENAI.ending(2)])
        async with (
            relayed(gateway.house.grpc_address) as (relay, address),
            AsyncTrunkline(address, key=gateway.key) as client,
        ):
            chat = client.model(OPENAI.name)
            stream = (chat.resumable() if resumable else chat).stream("count")
            pieces = aiter(stream)
            assert await anext(pieces) == "one "
            relay.cut()
            more.set()
            if resumable:
                assert [piece async for piece in pieces] == ["two"]
                assert stream.answer.text == "one two"
                assert relay.connections > 1
            else:
                with pytest.raises(Unavailable):
                    await anext(pieces)
