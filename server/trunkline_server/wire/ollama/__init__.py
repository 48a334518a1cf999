"""Ollama's own chat API: whole objects, streamed one a line."""

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
from trunkline_server.wire.ollama import failures
from trunkline_server.wire.ollama.decode import BodyDecoder, StreamDecoder
from trunkline_server.wire.ollama.encode import encode_chat
from trunkline_server.wire.ollama.shapes import MODELS

CAPABILITIES: Final = frozenset(
    {
        models_pb2.CAPABILITY_CHAT,
        models_pb2.CAPABILITY_STREAM,
        models_pb2.CAPABILITY_TOOLS,
        models_pb2.CAPABILITY_IMAGE_INPUT,
        models_pb2.CAPABILITY_JSON_SCHEMA,
        models_pb2.CAPABILITY_REASONING,
    }
)
STREAM_HEADERS: Final[Mapping[str, str]] = {**dialect.JSON_HEADERS, "accept": "application/x-ndjson"}
_READERS: Final[dialect.Readers] = {"application/json": BodyDecoder, "application/x-ndjson": StreamDecoder}


@dataclass(frozen=True)
class Ollama(Countless):
    """The wire."""

    name: str = "ollama"
    capabilities: frozenset[models_pb2.Capability.ValueType] = CAPABILITIES
    delta_is_token: bool = True
    needs_cap: bool = False
    path: str = "/api/chat"
    models_path: str = "/api/tags"

    def encode_chat(self, ask: Ask) -> HttpRequest:
        body = dialect.spell(encode_chat(ask))
        return HttpRequest("POST", self.path, STREAM_HEADERS if ask.stream else dialect.JSON_HEADERS, body)

    def decode_chat(self, ask: Ask, answer: Answer, content_type: str) -> dialect.Decoder:
        return dialect.reader(_READERS, content_type)(ask, answer)

    def encode_models(self) -> HttpRequest:
        return HttpRequest("GET", self.models_path, dialect.JSON_HEADERS)

    def decode_models(self, body: bytes) -> list[Offered]:
        return [model.offered for model in dialect.parse(MODELS, body).models]

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
        return failures.of_body(status, headers, body)
