"""Reads speech as it comes in: bare bytes, events that hold pieces of it, or one JSON with all of it."""

from __future__ import annotations

import base64
import binascii
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Final

import msgspec

from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.product import Sound
from trunkline_server.wire.audio.usage import UsageTold, read_usage
from trunkline_server.wire.dialect import Decoder, WholeBody, media_type, parse
from trunkline_server.wire.frames import EventStream, ServerEvent
from trunkline_server.wire.openai_chat.failures import of_event

REQUEST_IDS: Final = ("x-request-id", "request-id", "mistral-correlation-id", "x-generation-id")


class Piece(msgspec.Struct, gc=False):
    """An event of a stream, or a whole answer: sound in base64, the usage at the end, or an error."""

    type: str = ""
    audio: str | None = None
    audio_data: str | None = None
    usage: UsageTold | None = None
    error: object = None


PIECE: Final = msgspec.json.Decoder(Piece)


def reader(sound: Sound, headers: Mapping[str, str], head: bytes = b"") -> Decoder:
    """By what the answer says it is; `head` goes before bare bytes."""
    sound.response_id = next((headers[name] for name in REQUEST_IDS if headers.get(name)), "")
    kind = media_type(headers.get("content-type", ""))
    if kind.startswith("audio/") or kind == "application/octet-stream":
        return BareSound(sound, head)
    if kind == "text/event-stream":
        return EventSound(sound)
    if kind == "application/json":
        return JsonSound(sound)
    raise UpstreamFailure(FailureKind.BROKEN)


def cut(sound: Sound) -> UpstreamFailure:
    """It ended before its end."""
    return UpstreamFailure(FailureKind.INTERRUPTED if sound.byte_count else FailureKind.BROKEN)


def unpacked(text: str) -> bytes:
    """Bytes out of base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise UpstreamFailure(FailureKind.BROKEN) from None


class BareSound:
    """The body is the sound, and `head` goes before it. That it breaks off is seen by whoever reads the body."""

    __slots__ = ("_head", "_sound")

    def __init__(self, sound: Sound, head: bytes = b"") -> None:
        self._sound = sound
        self._head = head

    def feed(self, data: bytes) -> None:
        if data:
            self._sound.add(self._head + data)
            self._head = b""

    def close(self) -> None:
        if not self._sound.byte_count:
            raise cut(self._sound)
        self._sound.finished = True


class Events(ABC):
    """Server-sent events that hold the sound; there is a last one, and a body without it was cut."""

    def __init__(self, sound: Sound) -> None:
        self._sound = sound
        self._events = EventStream()

    def feed(self, data: bytes) -> None:
        self._read(self._events.feed(data))

    def close(self) -> None:
        self._read(self._events.close())
        if not self._sound.finished or not self._sound.byte_count:
            raise cut(self._sound)

    def _read(self, events: list[ServerEvent]) -> None:
        for _, data in events:
            self.take(data)

    @abstractmethod
    def take(self, data: bytes) -> None:
        """One event."""


class EventSound(Events):
    """`speech.audio.delta`, and `speech.audio.done` with the usage."""

    def take(self, data: bytes) -> None:
        if data.strip() == b"[DONE]":
            return
        piece = parse(PIECE, data)
        if piece.error is not None or piece.type == "error":
            raise of_event(data)
        take_piece(self._sound, piece)
        self._sound.finished = self._sound.finished or piece.type == "speech.audio.done"


class JsonSound(WholeBody):
    """All of it in one JSON."""

    def __init__(self, sound: Sound) -> None:
        super().__init__()
        self._sound = sound

    def read(self, body: bytes) -> None:
        take_piece(self._sound, parse(PIECE, body))
        if not self._sound.byte_count:
            raise UpstreamFailure(FailureKind.BROKEN)
        self._sound.finished = True


def take_piece(sound: Sound, piece: Piece) -> None:
    """The sound and the usage of one event."""
    sound.add(unpacked(piece.audio_data or piece.audio or ""))
    sound.usage = read_usage(piece.usage) or sound.usage
