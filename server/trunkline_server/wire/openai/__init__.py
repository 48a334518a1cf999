"""OpenAI's two dialects behind one wire: each question goes by the one that can ask it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trunkline.v1 import models_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.failure import UpstreamFailure
from trunkline_server.core.offered import Offered
from trunkline_server.wire import dialect
from trunkline_server.wire.http import HttpRequest
from trunkline_server.wire.openai.needs import Needs
from trunkline_server.wire.openai_chat import OpenAIChat
from trunkline_server.wire.openai_responses import OpenAIResponses


@dataclass(frozen=True)
class OpenAI:
    """Chat Completions, unless the question needs Responses. Both have the same errors and the same list of models."""

    name: str = "openai"
    chat: OpenAIChat = field(default_factory=OpenAIChat)
    responses: OpenAIResponses = field(default_factory=OpenAIResponses)
    needs: Needs = field(default_factory=Needs)

    @property
    def capabilities(self) -> frozenset[models_pb2.Capability.ValueType]:
        return self.chat.capabilities | self.responses.capabilities

    @property
    def delta_is_token(self) -> bool:
        return self.chat.delta_is_token and self.responses.delta_is_token

    @property
    def needs_cap(self) -> bool:
        return self.chat.needs_cap or self.responses.needs_cap

    def encode_chat(self, ask: Ask) -> HttpRequest:
        spoken = ask.spoken = self._for(ask)
        return spoken.encode_chat(ask)

    def decode_chat(self, ask: Ask, answer: Answer, content_type: str) -> dialect.Decoder:
        spoken = ask.spoken if isinstance(ask.spoken, OpenAIChat | OpenAIResponses) else self._for(ask)
        return spoken.decode_chat(ask, answer, content_type)

    def encode_count(self, ask: Ask) -> HttpRequest | None:
        return None if self.needs.chat(ask) else self.responses.encode_count(ask)

    def decode_count(self, body: bytes) -> int:
        return self.responses.decode_count(body)

    def encode_models(self) -> HttpRequest:
        return self.chat.encode_models()

    def decode_models(self, body: bytes) -> list[Offered]:
        return self.chat.decode_models(body)

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
        return self.chat.failure(status, headers, body)

    def _for(self, ask: Ask) -> OpenAIChat | OpenAIResponses:
        return self.responses if self.needs.responses(ask) else self.chat
