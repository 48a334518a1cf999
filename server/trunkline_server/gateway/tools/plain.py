"""The gateway itself as the gate of the loop, for calls that no kept answer will do for."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from trunkline.v1 import chat_pb2
from trunkline_server.core.call import Call
from trunkline_server.gateway.chat_run import ChatRun
from trunkline_server.gateway.chat_work import ChatWork
from trunkline_server.gateway.gateway import Gateway
from trunkline_server.gateway.journal import UNWRITTEN, Journal


@dataclass(frozen=True, slots=True)
class PlainGate:
    """Asks, every time. `journal`: what is begun at a provider that takes its own time is written there."""

    gateway: Gateway
    journal: Journal = UNWRITTEN

    async def complete(self, call: Call, input: chat_pb2.ChatInput) -> ChatRun:
        return await self.gateway.complete(call, input, self.journal)

    def stream(self, call: Call, input: chat_pb2.ChatInput) -> AsyncGenerator[chat_pb2.ChatEvent, None]:
        return self.gateway.stream(call, ChatWork(input, streaming=True, journal=self.journal))
