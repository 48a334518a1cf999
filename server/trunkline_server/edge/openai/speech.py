"""`/v1/audio/speech`: bare sound, piece by piece, or in events."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final

import orjson
from google.protobuf.message import Message
from msgspec import Raw, Struct

from trunkline.v1 import audio_pb2
from trunkline_server.core.errors import TrunklineError, invalid
from trunkline_server.door.boundary import Procedure, Visit
from trunkline_server.edge import sse
from trunkline_server.edge.exchange import Headers, Reply
from trunkline_server.edge.openai.errand import Errand, tokens
from trunkline_server.edge.openai.errors import describe
from trunkline_server.edge.reading import decode, extend

SPEAK: Final = "/trunkline.v1.AudioService/SynthesizeSpeech"
_FORMATS: Final[Mapping[str, str]] = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/L16",
}


class Voice(Struct):
    id: str


class SpeechRequest(Struct):
    model: str
    input: str
    voice: str | Voice = ""
    instructions: str | None = None
    response_format: str | None = None
    speed: float | None = None
    stream_format: str | None = None
    trunkline: Raw = Raw()


class Speech(Errand):
    """Bare sound has no place for an error: where it breaks off, the connection does."""

    def __init__(self) -> None:
        self._in_events = False

    async def read(self, visit: Visit, body: bytes) -> tuple[Procedure, Message]:
        request = decode(body, SpeechRequest)
        self._in_events = request.stream_format == "sse"
        return visit.procedure, audio_pb2.SynthesizeSpeechRequest(input=_input_of(request))

    def write(self, visit: Visit, response: Any) -> Reply:
        """Never in one piece."""
        return Reply(200, visit.trailers)

    def begin(self, visit: Visit, first: Message | None) -> Headers:
        kind = first.started.media_type if isinstance(first, audio_pb2.SynthesizeSpeechResponse) else ""
        head = sse.HEADERS if self._in_events else (("content-type", kind or "application/octet-stream"),)
        return (*head, *visit.trailers)

    def piece(self, message: audio_pb2.SynthesizeSpeechResponse) -> bytes:
        if not self._in_events:
            return message.audio
        match message.WhichOneof("event"):
            case "audio":
                return _event("speech.audio.delta", audio=b64encode(message.audio).decode())
            case "completed":
                return _event("speech.audio.done", usage=tokens(message.completed.usage))
            case _:
                return b""

    def break_off(self, visit: Visit, error: TrunklineError) -> bytes | None:
        return _event("error", error=describe(error)) if self._in_events else None


def _input_of(request: SpeechRequest) -> audio_pb2.SpeechInput:
    input = extend(audio_pb2.SpeechInput(), request.trunkline, request.model)
    input.text = request.input
    input.voice = request.voice if isinstance(request.voice, str) else request.voice.id
    if request.instructions:
        input.instructions = request.instructions
    if request.speed is not None:
        input.speed = request.speed
    if request.response_format:
        if request.response_format not in _FORMATS:
            raise invalid("response_format", f"must be one of {', '.join(_FORMATS)}")
        input.media_type = _FORMATS[request.response_format]
    return input


def _event(kind: str, **fields: object) -> bytes:
    return sse.event(orjson.dumps({"type": kind, **fields}))
