"""ElevenLabs: no chat, but voices. Transcription and the list of voices are spelled as in `wire.audio`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from trunkline_server.core.failure import UpstreamFailure
from trunkline_server.core.offered import Offered
from trunkline_server.wire import dialect
from trunkline_server.wire.chatless import Chatless
from trunkline_server.wire.elevenlabs import failures
from trunkline_server.wire.http import HttpRequest


class Model(msgspec.Struct, gc=False):
    """One that speaks; those that listen are not in the list."""

    model_id: str
    name: str | None = None


MODELS: Final = msgspec.json.Decoder(list[Model])


@dataclass(frozen=True)
class ElevenLabs(Chatless):
    """The wire."""

    name: str = "elevenlabs"
    models_path: str = "/models"

    def encode_models(self) -> HttpRequest:
        return HttpRequest("GET", self.models_path, {"accept": "application/json"})

    def decode_models(self, body: bytes) -> list[Offered]:
        return [Offered(model.model_id, model.name or "") for model in dialect.parse(MODELS, body)]

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
        return failures.of_body(status, headers, body)
