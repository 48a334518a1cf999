"""A WebSocket: frames in and out, and an end for those who fall silent."""

from __future__ import annotations

import asyncio
from typing import Final

from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError

from trunkline_server.edge.exchange import Exchange
from trunkline_server.edge.limits import Limits
from trunkline_server.edge.live.conversation import Conversation

BESIDE_MAX: Final = 64
"""Answers to faulty messages that may wait for their reader; whoever sends more is not listening."""


class WebSocket:
    """Fed by the connection once the protocol is changed; `run` is the life of it."""

    def __init__(self, exchange: Exchange, limits: Limits) -> None:
        self._exchange = exchange
        self._limits = limits
        self._frames = Connection(ConnectionType.SERVER)
        self._pieces: list[str] = []
        self._chars = 0
        self._heard = False
        self._over = asyncio.Event()
        self._conversation: Conversation | None = None

    async def run(self, conversation: Conversation) -> None:
        """Until either side ends it."""
        self._conversation = conversation
        try:
            while not self._over.is_set():
                await self._look()
        finally:
            await conversation.end()
            self._exchange.ended = True

    async def send(self, data: bytes) -> None:
        """One message; waits while the caller does not read."""
        if not self._over.is_set():
            await self._exchange.send_raw(self._frames.send(TextMessage(data.decode())))

    def received(self, data: bytes) -> None:
        """What the connection has read; behind the end nothing counts."""
        if self._over.is_set():
            return
        self._heard = True
        self._frames.receive_data(data)
        for event in self._frames.events():
            self._handle(event)

    async def _look(self) -> None:
        """Whoever has said nothing for so long is asked; whoever does not answer, or wants nothing, is let go."""
        self._heard = False
        try:
            async with asyncio.timeout(self._limits.idle_s / 2):
                await self._over.wait()
        except TimeoutError:
            if self._heard:
                return
        if not self._over.is_set():
            await self._probe()

    async def _probe(self) -> None:
        if self._conversation is not None and self._conversation.idle:
            self._close(CloseReason.GOING_AWAY, "idle")
            return
        await self._exchange.send_raw(self._frames.send(Ping()))
        try:
            async with asyncio.timeout(self._limits.idle_s / 2):
                await self._over.wait()
        except TimeoutError:
            if not self._heard:
                self._over.set()

    def _handle(self, event: Event) -> None:
        match event:
            case TextMessage():
                self._text(event)
            case Ping():
                self._say(event.response())
            case CloseConnection():
                if not self._over.is_set():
                    self._say(event.response())
                    self._over.set()
            case BytesMessage():
                self._close(CloseReason.UNSUPPORTED_DATA, "only text is taken")
            case Pong():
                pass
            case _:
                self._close(CloseReason.PROTOCOL_ERROR, "")

    def _text(self, event: TextMessage) -> None:
        self._pieces.append(event.data)
        self._chars += len(event.data)
        if self._chars > self._limits.body_bytes_max:
            self._close(CloseReason.MESSAGE_TOO_BIG, "too long")
        elif event.message_finished and self._conversation is not None and not self._over.is_set():
            message, self._pieces, self._chars = "".join(self._pieces), [], 0
            self._conversation.hear(message.encode())
            if self._conversation.unheard > BESIDE_MAX:
                self._close(CloseReason.POLICY_VIOLATION, "too many faulty messages")

    def _close(self, code: CloseReason, reason: str) -> None:
        self._say(CloseConnection(code, reason))
        self._over.set()

    def _say(self, event: Event) -> None:
        """A control frame; it is small, and does not wait."""
        try:
            self._exchange.put_raw(self._frames.send(event))
        except LocalProtocolError:  # the other side had closed already
            self._over.set()
