"""Anthropic's Messages API: one endpoint, content blocks, and a stream of named events."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from trunkline.v1 import models_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.failure import UpstreamFailure
from trunkline_server.core.offered import Offered
from trunkline_server.wire import dialect
from trunkline_server.wire.anthropic import failures
from trunkline_server.wire.anthropic.betas import betas_of
from trunkline_server.wire.anthropic.decode import BodyDecoder, StreamDecoder
from trunkline_server.wire.anthropic.encode import encode_chat
from trunkline_server.wire.anthropic.models import RULES, ModelFacts, facts_of
from trunkline_server.wire.anthropic.shapes import COUNT, MODELS
from trunkline_server.wire.http import HttpRequest

VERSION: Final = "2023-06-01"
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
_COUNTED: Final = (
    *("model", "system", "messages", "tools", "tool_choice", "thinking", "output_config"),
    *("context_management", "mcp_servers"),
)
_READERS: Final[dialect.Readers] = {"application/json": BodyDecoder, "text/event-stream": StreamDecoder}


@dataclass(frozen=True)
class Anthropic:
    """The wire. `rules` tell what a model can be told; `betas` are features to ask for with every question."""

    name: str = "anthropic"
    capabilities: frozenset[models_pb2.Capability.ValueType] = CAPABILITIES
    delta_is_token: bool = False
    needs_cap: bool = True
    rules: Sequence[tuple[re.Pattern[str], ModelFacts]] = RULES
    betas: Sequence[str] = ()

    def encode_chat(self, ask: Ask) -> HttpRequest:
        body = encode_chat(ask, facts_of(ask.model, self.rules))
        headers = dialect.STREAM_HEADERS if ask.stream else dialect.JSON_HEADERS
        return HttpRequest("POST", "/v1/messages", self._headers(headers, ask, body), dialect.spell(body))

    def decode_chat(self, ask: Ask, answer: Answer, content_type: str) -> dialect.Decoder:
        return dialect.reader(_READERS, content_type)(ask, answer)

    def encode_count(self, ask: Ask) -> HttpRequest | None:
        whole = encode_chat(ask, facts_of(ask.model, self.rules))
        body = {name: value for name, value in whole.items() if name in _COUNTED}
        headers = self._headers(dialect.JSON_HEADERS, ask, body)
        return HttpRequest("POST", "/v1/messages/count_tokens", headers, dialect.spell(body))

    def decode_count(self, body: bytes) -> int:
        return dialect.count(dialect.parse(COUNT, body).input_tokens)

    def encode_models(self) -> HttpRequest:
        headers = {**dialect.JSON_HEADERS, "anthropic-version": VERSION}
        return HttpRequest("GET", "/v1/models?limit=1000", headers)

    def decode_models(self, body: bytes) -> list[Offered]:
        return [model.offered for model in dialect.parse(MODELS, body).data]

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
        return failures.of_body(status, headers, body)

    def _headers(self, headers: Mapping[str, str], ask: Ask, body: Mapping[str, object]) -> dict[str, str]:
        betas = ",".join(dict.fromkeys((*self.betas, *betas_of(ask.input, body))))
        return {**headers, "anthropic-version": VERSION, **({"anthropic-beta": betas} if betas else {})}
