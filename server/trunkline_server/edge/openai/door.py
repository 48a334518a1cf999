"""The paths of OpenAI's API."""

from __future__ import annotations

from dataclasses import dataclass

from trunkline_server.edge.calls import Calls
from trunkline_server.edge.chat_call import COMPLETE
from trunkline_server.edge.exchange import Exchange
from trunkline_server.edge.openai import embeddings, images, moderations, speech, transcripts
from trunkline_server.edge.openai.chat import ChatCompletions
from trunkline_server.edge.openai.responses import Responses
from trunkline_server.edge.router import Route


@dataclass(frozen=True, slots=True)
class OpenAIDoor:
    """Each path is one spelling of one RPC."""

    calls: Calls

    def routes(self) -> list[Route]:
        return [
            Route("POST", "/v1/chat/completions", self.chat_completions),
            Route("POST", "/v1/responses", self.responses),
            Route("POST", "/v1/embeddings", self.embeddings),
            Route("POST", "/v1/images/generations", self.image_generations),
            Route("POST", "/v1/images/edits", self.image_edits),
            Route("POST", "/v1/audio/speech", self.speech),
            Route("POST", "/v1/audio/transcriptions", self.transcriptions),
            Route("POST", "/v1/audio/translations", self.translations),
            Route("POST", "/v1/moderations", self.moderations),
        ]

    async def chat_completions(self, exchange: Exchange) -> None:
        await self.calls.serve(exchange, COMPLETE, ChatCompletions(self.calls.procedures))

    async def responses(self, exchange: Exchange) -> None:
        await self.calls.serve(exchange, COMPLETE, Responses(self.calls.procedures))

    async def embeddings(self, exchange: Exchange) -> None:
        await self.calls.serve(exchange, embeddings.EMBED, embeddings.Embeddings())

    async def image_generations(self, exchange: Exchange) -> None:
        await self.calls.serve(exchange, images.GENERATE, images.Generations())

    async def image_edits(self, exchange: Exchange) -> None:
        await self.calls.serve(exchange, images.EDIT, images.Edits(exchange))

    async def speech(self, exchange: Exchange) -> None:
        await self.calls.serve(exchange, speech.SPEAK, speech.Speech())

    async def transcriptions(self, exchange: Exchange) -> None:
        await self.calls.serve(exchange, transcripts.TRANSCRIBE, transcripts.Transcriptions(exchange))

    async def translations(self, exchange: Exchange) -> None:
        await self.calls.serve(exchange, transcripts.TRANSLATE, transcripts.Translations(exchange))

    async def moderations(self, exchange: Exchange) -> None:
        await self.calls.serve(exchange, moderations.MODERATE, moderations.Moderations())
