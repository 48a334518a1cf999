"""Google's generateContent: candidates made of parts, streamed as chunks of the same shape."""

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
from trunkline_server.wire.gemini import failures
from trunkline_server.wire.gemini.decode import BodyDecoder, StreamDecoder
from trunkline_server.wire.gemini.encode import encode_chat
from trunkline_server.wire.gemini.names import qualified
from trunkline_server.wire.gemini.shapes import COUNT, MODELS
from trunkline_server.wire.http import HttpRequest

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
        models_pb2.CAPABILITY_COUNT_TOKENS,
    }
)
_READERS: Final[dialect.Readers] = {"application/json": BodyDecoder, "text/event-stream": StreamDecoder}


@dataclass(frozen=True)
class Gemini:
    """`early_models` begin the names of the models before the third generation: those think by a budget of tokens, want
    media beside a tool's result rather than in it, and do not insist on a signature of every call."""

    name: str = "gemini"
    capabilities: frozenset[models_pb2.Capability.ValueType] = CAPABILITIES
    delta_is_token: bool = False
    needs_cap: bool = False
    version: str = "/v1beta"
    files_url: str = "https://generativelanguage.googleapis.com/v1beta/files/"
    early_models: tuple[str, ...] = (
        "gemini-1",
        "gemini-2",
        "gemini-exp",
        "gemini-robotics-er-1",
        "gemma",
        "learnlm",
        "tunedModels/",
    )

    def encode_chat(self, ask: Ask) -> HttpRequest:
        """Without `alt=sse` a stream is one JSON list, which says nothing before its end."""
        body = dialect.spell(self._body(ask))
        if ask.stream:
            path = self._path(ask.model, "streamGenerateContent?alt=sse")
            return HttpRequest("POST", path, dialect.STREAM_HEADERS, body)
        return HttpRequest("POST", self._path(ask.model, "generateContent"), dialect.JSON_HEADERS, body)

    def decode_chat(self, ask: Ask, answer: Answer, content_type: str) -> dialect.Decoder:
        return dialect.reader(_READERS, content_type)(ask, answer)

    def encode_count(self, ask: Ask) -> HttpRequest:
        path = self._path(ask.model, "countTokens")
        question = {"model": qualified(ask.model), **self._body(ask)}
        body = dialect.spell({"generateContentRequest": question})
        return HttpRequest("POST", path, dialect.JSON_HEADERS, body)

    def decode_count(self, body: bytes) -> int:
        return dialect.count(dialect.parse(COUNT, body).total_tokens)

    def encode_models(self) -> HttpRequest:
        return HttpRequest("GET", f"{self.version}/models?pageSize=1000", {"accept": "application/json"})

    def decode_models(self, body: bytes) -> list[Offered]:
        models = dialect.parse(MODELS, body).models or ()
        return [model.offered for model in models if model.is_usable]

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
        return failures.of_body(status, headers, body)

    def _body(self, ask: Ask) -> dict[str, object]:
        return encode_chat(
            ask, early=ask.model.removeprefix("models/").startswith(self.early_models), files_url=self.files_url
        )

    def _path(self, model: str, method: str) -> str:
        return f"{self.version}/{qualified(model)}:{method}"
