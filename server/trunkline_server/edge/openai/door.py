"""The paths of OpenAI's API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trunkline_server.edge.calls import Calls
from trunkline_server.edge.exchange import Exchange
from trunkline_server.edge.openai import chat, models
from trunkline_server.edge.openai.responses import Responses
from trunkline_server.edge.router import Route

_MODELS: Final = "/v1/models"


@dataclass(frozen=True, slots=True)
class OpenAIDoor:
    """Each path is one spelling of one RPC."""

    calls: Calls

    def routes(self) -> list[Route]:
        return [
            Route("POST", "/v1/chat/completions", self.chat_completions),
            Route("POST", "/v1/responses", self.responses),
            Route("GET", _MODELS, self.list_models),
            Route("GET", f"{_MODELS}/*", self.get_model),
        ]

    async def chat_completions(self, exchange: Exchange) -> None:
        await self.calls.serve(exchange, chat.COMPLETE, chat.ChatCompletions(self.calls.procedures))

    async def responses(self, exchange: Exchange) -> None:
        await self.calls.serve(exchange, chat.COMPLETE, Responses(self.calls.procedures))

    async def list_models(self, exchange: Exchange) -> None:
        await self.calls.serve(exchange, models.LIST, models.ListModels())

    async def get_model(self, exchange: Exchange) -> None:
        await self.calls.serve(exchange, models.GET, models.GetModel(exchange.path.removeprefix(f"{_MODELS}/")))
