"""The Chat Completions dialect, as OpenAI, Azure and every OpenAI-compatible server speak it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trunkline.v1 import models_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.failure import UpstreamFailure
from trunkline_server.core.offered import Offered
from trunkline_server.wire import dialect
from trunkline_server.wire.countless import Countless
from trunkline_server.wire.http import HttpRequest
from trunkline_server.wire.openai_chat import failures
from trunkline_server.wire.openai_chat.decode import BodyDecoder, StreamDecoder
from trunkline_server.wire.openai_chat.encode import encode_chat
from trunkline_server.wire.openai_chat.models import decode_models
from trunkline_server.wire.openai_chat.quirks import Quirks

CAPABILITIES: Final = frozenset(
    {
        models_pb2.CAPABILITY_CHAT,
        models_pb2.CAPABILITY_STREAM,
        models_pb2.CAPABILITY_TOOLS,
        models_pb2.CAPABILITY_IMAGE_INPUT,
        models_pb2.CAPABILITY_AUDIO_INPUT,
        models_pb2.CAPABILITY_DOCUMENT_INPUT,
        models_pb2.CAPABILITY_JSON_SCHEMA,
        models_pb2.CAPABILITY_REASONING,
    }
)
WITHOUT_FILES: Final = CAPABILITIES - {models_pb2.CAPABILITY_AUDIO_INPUT, models_pb2.CAPABILITY_DOCUMENT_INPUT}
_READERS: Final[dialect.Readers] = {"application/json": BodyDecoder, "text/event-stream": StreamDecoder}


@dataclass(frozen=True)
class OpenAIChat(Countless, Quirks):
    """The wire; its quirks are what one server does differently from OpenAI."""

    name: str = "openai_chat"
    capabilities: frozenset[models_pb2.Capability.ValueType] = CAPABILITIES
    delta_is_token: bool = True
    needs_cap: bool = False
    path: str = "/chat/completions"
    models_path: str = "/models"

    def encode_chat(self, ask: Ask) -> HttpRequest:
        body = dialect.spell(encode_chat(ask, self))
        return HttpRequest("POST", self.path, dialect.STREAM_HEADERS if ask.stream else dialect.JSON_HEADERS, body)

    def decode_chat(self, ask: Ask, answer: Answer, content_type: str) -> dialect.Decoder:
        return dialect.reader(_READERS, content_type)(ask, answer, self)

    def encode_models(self) -> HttpRequest:
        return HttpRequest("GET", self.models_path, dialect.JSON_HEADERS)

    def decode_models(self, body: bytes) -> list[Offered]:
        return decode_models(body, self.price_list)

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
        return failures.of_body(status, headers, body)
