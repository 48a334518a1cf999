"""A recording on its way to a model that listens."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self, TypeAlias

from trunkline.calling import whole
from trunkline.media import Sound
from trunkline.v1 import audio_pb2

Source: TypeAlias = bytes | str | Path | Sound
"""Bytes, the path of a file, or what was spoken before."""
Timestamps: TypeAlias = Literal["segment", "word"]
_PIECE_BYTES = 256 * 1024


@dataclass(frozen=True)
class Recording:
    """What is to be written down, and the sound of it."""

    input: audio_pb2.TranscriptionInput
    data: bytes

    @classmethod
    def of(cls, source: Source, given: audio_pb2.TranscriptionInput, also: audio_pb2.TranscriptionInput | None) -> Self:
        data, media_type = _read(source)
        given.media_type = given.media_type or media_type
        return cls(whole(given, also), data)

    def to_transcribe(self) -> Iterator[audio_pb2.TranscribeRequest]:
        yield audio_pb2.TranscribeRequest(input=self.input)
        for piece in self._pieces():
            yield audio_pb2.TranscribeRequest(audio=piece)

    def to_translate(self) -> Iterator[audio_pb2.TranslateAudioRequest]:
        yield audio_pb2.TranslateAudioRequest(input=self.input)
        for piece in self._pieces():
            yield audio_pb2.TranslateAudioRequest(audio=piece)

    def _pieces(self) -> Iterator[bytes]:
        for begin in range(0, len(self.data), _PIECE_BYTES):
            yield self.data[begin : begin + _PIECE_BYTES]


def granularity(timestamps: Timestamps | None) -> audio_pb2.TimestampGranularity.ValueType:
    return audio_pb2.TimestampGranularity.Value(f"TIMESTAMP_GRANULARITY_{(timestamps or 'unspecified').upper()}")


def _read(source: Source) -> tuple[bytes, str]:
    """Its bytes, and what they are."""
    if isinstance(source, Sound):
        return source.data, source.media_type
    if isinstance(source, bytes):
        return source, ""
    path = Path(source)
    return path.read_bytes(), mimetypes.guess_type(path.name)[0] or ""
