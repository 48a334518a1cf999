"""FAL: hundreds of models for pictures, films and sounds behind one queue, no chat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trunkline_server.core.failure import UpstreamFailure
from trunkline_server.wire.chatless import Chatless
from trunkline_server.wire.fal import failures
from trunkline_server.wire.http import HttpRequest


@dataclass(frozen=True)
class Fal(Chatless):
    """The wire. The queue has no list of models, and nothing to ask that is free and answers well: whoever asks after a
    request that never was hears whether the key is good, and otherwise that there is none."""

    name: str = "fal"
    probe_path: str = "/fal-ai/flux/requests/00000000-0000-4000-8000-000000000000/status"

    def encode_models(self) -> HttpRequest:
        return HttpRequest("GET", self.probe_path, {"accept": "application/json"})

    def decode_models(self, body: bytes) -> list[str]:  # noqa: ARG002 - it says nothing of models
        return []

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
        return failures.of_body(status, headers, body)
