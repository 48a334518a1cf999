"""One answer as bytes."""

from __future__ import annotations

import asyncio

import pytest

from trunkline_server.edge.exchange import Exchange, Head, Receiver


class Wire:
    """What goes out on a connection."""

    certificate: object = None
    is_secure = False

    def __init__(self) -> None:
        self.sent = b""

    def write(self, data: bytes) -> None:
        self.sent += data

    async def drained(self) -> None: ...

    def hold_back(self, *, held: bool) -> None: ...

    def tunnel(self, receiver: Receiver) -> None: ...


async def test_nothing_follows_the_end() -> None:
    wire = Wire()
    exchange = Exchange(wire, Head("GET", "/", "", (), keep_alive=True, chunks=True))
    exchange.begin(200, ())
    await exchange.write(b"piece")
    exchange.end()
    with pytest.raises(asyncio.CancelledError):
        await exchange.write(b"late")
    assert wire.sent.endswith(b"5\r\npiece\r\n0\r\n\r\n")
