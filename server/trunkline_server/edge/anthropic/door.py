"""The paths of Anthropic's API, but for its list of models, which is also OpenAI's."""

from __future__ import annotations

from dataclasses import dataclass

from trunkline_server.edge.anthropic import messages
from trunkline_server.edge.calls import Calls
from trunkline_server.edge.chat_call import COMPLETE
from trunkline_server.edge.exchange import Exchange
from trunkline_server.edge.router import Route


@dataclass(frozen=True, slots=True)
class AnthropicDoor:
    """Each path is one spelling of one RPC."""

    calls: Calls

    def routes(self) -> list[Route]:
        return [
            Route("POST", "/v1/messages", self.create),
            Route("POST", "/v1/messages/count_tokens", self.count_tokens),
        ]

    async def create(self, exchange: Exchange) -> None:
        await self.calls.serve(exchange, COMPLETE, messages.Messages(self.calls.procedures))

    async def count_tokens(self, exchange: Exchange) -> None:
        await self.calls.serve(exchange, messages.COUNT, messages.CountTokens())
