"""Speech recognition: the recording alone is the request, unless more is said; then it goes into JSON."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from trunkline.v1 import audio_pb2
from trunkline_server.core.errand import Errand
from trunkline_server.core.errors import Reason, invalid
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.product import Product
from trunkline_server.wire import dialect
from trunkline_server.wire.audio import transcript
from trunkline_server.wire.audio.usage import read_usage
from trunkline_server.wire.craft import Craft
from trunkline_server.wire.http import HttpRequest
from trunkline_server.wire.huggingface import task_path
from trunkline_server.wire.multipart import PLAIN


@dataclass(frozen=True)
class TaskTranscription(Craft[audio_pb2.TranscriptionInput, audio_pb2.TranscribeResponse]):
    """How long the recording is, is not told."""

    def encode(self, errand: Errand[audio_pb2.TranscriptionInput]) -> HttpRequest:
        asked = errand.input
        if asked.audio.WhichOneof("source") != "data":
            raise invalid("input.audio", "recordings are taken as bytes only", Reason.CAPABILITY_UNSUPPORTED)
        for field in ("language", "prompt", "temperature", "diarize"):
            if getattr(asked, field):
                errand.drop(field, "this provider does not take it")
        said, path = asked.audio.media_type or asked.media_type or PLAIN, task_path(errand.model)
        parameters = dialect.merge(_parameters(asked), errand.options)
        if not parameters:
            return HttpRequest("POST", path, {"content-type": said, "accept": "application/json"}, asked.audio.data)
        body = {"inputs": base64.b64encode(asked.audio.data).decode(), "parameters": parameters}
        return HttpRequest("POST", path, dialect.JSON_HEADERS, dialect.spell(body))

    def decode(
        self, errand: Errand[audio_pb2.TranscriptionInput], headers: Mapping[str, str], body: bytes
    ) -> Product[audio_pb2.TranscribeResponse]:
        if dialect.media_type(headers.get("content-type", "")) != "application/json":
            raise UpstreamFailure(FailureKind.BROKEN)
        told = transcript.read_body(body)
        answer = audio_pb2.TranscribeResponse(transcript=transcript.write(told, errand.input))
        return Product(answer, read_usage(told.usage, told.length_s))


def _parameters(asked: audio_pb2.TranscriptionInput) -> dict[str, object]:
    if asked.timestamps == audio_pb2.TIMESTAMP_GRANULARITY_WORD:
        return {"return_timestamps": "word"}
    return {"return_timestamps": True} if asked.timestamps else {}
