"""The Responses dialect, as OpenAI speaks it beside Chat Completions, and xAI and OpenRouter after it."""

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
from trunkline_server.wire.http import HttpRequest
from trunkline_server.wire.openai_chat import failures
from trunkline_server.wire.openai_chat.models import decode_models
from trunkline_server.wire.openai_responses.decode import BodyDecoder, StreamDecoder
from trunkline_server.wire.openai_responses.encode import encode_chat, encode_count
from trunkline_server.wire.openai_responses.quirks import Quirks
from trunkline_server.wire.openai_responses.shapes import COUNTED

CAPABILITIES: Final = frozenset(
    {
        models_pb2.CAPABILITY_CHAT,
        models_pb2.CAPABILITY_STREAM,
        models_pb2.CAPABILITY_TOOLS,
        models_pb2.CAPABILITY_IMAGE_INPUT,
        models_pb2.CAPABILITY_DOCUMENT_INPUT,
        models_pb2.CAPABILITY_JSON_SCHEMA,
        models_pb2.CAPABILITY_REASONING,
        models_pb2.CAPABILITY_COUNT_TOKENS,
    }
)
_READERS: Final[dialect.Readers] = {"application/json": BodyDecoder, "text/event-stream": StreamDecoder}


@dataclass(frozen=True)
class OpenAIResponses(Quirks):
    """The wire; its quirks are what one server does differently from OpenAI. Its errors are those of the chat dialect.

    Its decoders count deltas as the tokens that they are likely to hold.
    """

    name: str = "openai_responses"
    capabilities: frozenset[models_pb2.Capability.ValueType] = CAPABILITIES
    delta_is_token: bool = True
    needs_cap: bool = False
    path: str = "/responses"
    models_path: str = "/models"

    def encode_chat(self, ask: Ask) -> HttpRequest:
        body = dialect.spell(encode_chat(ask, self))
        return HttpRequest("POST", self.path, dialect.STREAM_HEADERS if ask.stream else dialect.JSON_HEADERS, body)

    def decode_chat(self, ask: Ask, answer: Answer, content_type: str) -> dialect.Decoder:
        return dialect.reader(_READERS, content_type)(ask, answer)

    def encode_count(self, ask: Ask) -> HttpRequest | None:
        if not self.count_path:
            return None
        return HttpRequest("POST", self.count_path, dialect.JSON_HEADERS, dialect.spell(encode_count(ask, self)))

    def decode_count(self, body: bytes) -> int:
        return dialect.count(dialect.parse(COUNTED, body).input_tokens)

    def encode_models(self) -> HttpRequest:
        return HttpRequest("GET", self.models_path, dialect.JSON_HEADERS)

    def decode_models(self, body: bytes) -> list[Offered]:
        return decode_models(body, None)

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
        return failures.of_body(status, headers, body)
