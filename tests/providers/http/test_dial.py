"""Names, several addresses, and a trust that is shared."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from trunkline_server.providers.http import dial
from trunkline_server.providers.http.dial import Dial, first_of, trust
from trunkline_server.providers.http.network import Address, open_socket
from trunkline_server.providers.http.origin import Origin


@pytest.fixture
def listening() -> Iterator[Address]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield socket.AF_INET, server.getsockname()


@pytest.fixture
def closed() -> Iterator[Address]:
    """Nobody can listen there while it is bound."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield socket.AF_INET, bound.getsockname()


@pytest.fixture
async def deaf() -> AsyncIterator[Address]:
    """A connection there is neither taken nor refused: the queue of those who wait is full."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        callers = [socket.socket() for _ in range(4)]
        for caller in callers:
            caller.settimeout(0)
        calls = [asyncio.create_task(loop.sock_connect(caller, server.getsockname())) for caller in callers]
        await asyncio.wait(calls, timeout=0.05)
        yield socket.AF_INET, server.getsockname()
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        for caller in callers:
            caller.close()


async def test_the_next_address_is_tried_when_one_refuses(listening: Address, closed: Address) -> None:
    with await first_of([closed, closed, listening]) as sock:
        assert sock.getpeername() == listening[1]


async def test_the_next_address_gets_its_turn_when_one_is_slow(listening: Address, deaf: Address) -> None:
    begun = time.monotonic()
    with await first_of([deaf, listening]) as sock:
        assert sock.getpeername() == listening[1]
    assert 0.2 < time.monotonic() - begun < 2


async def test_where_two_answer_at_once_one_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, together = asyncio.get_running_loop(), asyncio.Barrier(2)

    async def both(address: Address) -> socket.socket:
        sock = await open_socket(address)
        await together.wait()
        return sock

    monkeypatch.setattr(dial, "_HEAD_START_S", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        address = (socket.AF_INET, server.getsockname())
        with await first_of([address, address], both) as sock:
            peers = [(await loop.sock_accept(server))[0] for _ in range(2)]
            loser = next(peer for peer in peers if peer.getpeername() != sock.getsockname())
            assert await asyncio.wait_for(loop.sock_recv(loser, 1), 5) == b""
        for peer in peers:
            peer.close()


async def test_no_address_answers(closed: Address) -> None:
    with pytest.raises(ConnectionRefusedError):
        await first_of([closed, closed])
    with pytest.raises(OSError, match="no address"):
        await first_of([])


async def test_giving_up_lets_go_of_every_socket(deaf: Address) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(first_of([deaf, deaf]), 0.4)


async def test_addresses_are_remembered_until_one_fails(listening: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, asked = asyncio.get_running_loop(), 0
    look_up = loop.getaddrinfo

    async def counted(host: str, *about: Any, **more: Any) -> Any:
        nonlocal asked
        asked += host == "localhost"  # a loop may look up numbers too
        return await look_up(host, *about, **more)

    monkeypatch.setattr(loop, "getaddrinfo", counted)
    way = Dial(Origin.of(f"http://localhost:{listening[1][1]}"), "")
    for _ in range(2):
        (await way._socket()).close()
    assert asked == 1
    monkeypatch.setattr(dial, "first_of", failing)
    for _ in range(2):
        with pytest.raises(OSError, match="down"):
            await way._socket()
    assert asked == 2


async def failing(*_: object) -> socket.socket:
    raise OSError("down")


def test_trust_is_made_once() -> None:
    assert trust("") is trust("")
