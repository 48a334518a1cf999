"""Kinds of sound: media types as callers say them, and as providers do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from trunkline.v1 import audio_pb2
from trunkline_server.core.errand import Errand

MPEG: Final = "audio/mpeg"
WAV: Final = "audio/wav"
OGG: Final = "audio/ogg"
AAC: Final = "audio/aac"
FLAC: Final = "audio/flac"
SAMPLES: Final = "audio/L16"
"""Bare samples: signed, 16 bits, one channel, low byte first."""

SAME: Final[Mapping[str, str]] = {
    "audio/mp3": MPEG,
    "audio/x-wav": WAV,
    "audio/wave": WAV,
    "audio/vnd.wave": WAV,
    "audio/opus": OGG,
    "audio/x-flac": FLAC,
    "audio/x-aac": AAC,
    "audio/l16": SAMPLES,
    "audio/pcm": SAMPLES,
}
EXTENSIONS: Final[Mapping[str, str]] = {
    MPEG: "mp3",
    WAV: "wav",
    OGG: "ogg",
    AAC: "aac",
    FLAC: "flac",
    "audio/mp4": "m4a",
    "audio/m4a": "m4a",
    "audio/x-m4a": "m4a",
    "audio/webm": "webm",
    "video/webm": "webm",
    "video/mp4": "mp4",
}
OPENAI: Final[Mapping[str, object]] = {
    MPEG: "mp3",
    WAV: "wav",
    OGG: "opus",
    AAC: "aac",
    FLAC: "flac",
    SAMPLES: "pcm",
}


@dataclass(frozen=True)
class Formats:
    """What a provider makes, by media type, in its own words; the first is what it makes unasked.

    `rate_hz` is that of its bare samples.
    """

    words: Mapping[str, object] = field(default_factory=lambda: OPENAI)
    rate_hz: int = 24_000

    def chosen(self, asked: audio_pb2.SpeechInput) -> str:
        """The media type to be made: what is asked for, or what the provider makes instead."""
        wanted = kind(asked.media_type)
        return wanted if wanted in self.words else next(iter(self.words))

    def choose(self, errand: Errand[audio_pb2.SpeechInput]) -> str:
        """The same, with a warning where it is not what is asked for."""
        made = self.chosen(errand.input)
        if errand.input.media_type and kind(errand.input.media_type) != made:
            errand.adjust("media_type", f"this provider does not make that; it is {self.spelled(made)}")
        return made

    def spelled(self, media_type: str) -> str:
        """With the rate, where nothing else tells it."""
        return f"{SAMPLES};rate={self.rate_hz}" if media_type == SAMPLES else media_type

    def heard(self, chosen: str, content_type: str) -> str:
        """What came, by what was asked for and what the answer says it is."""
        told = kind(content_type)
        return told if told.startswith("audio/") and told != chosen else self.spelled(chosen)


def kind(media_type: str) -> str:
    """A media type without its parameters, in its usual spelling."""
    bare = media_type.partition(";")[0].strip().lower()
    return SAME.get(bare, bare)


def filename(media_type: str) -> str:
    """A name that tells what is in the file: there are providers that go by it."""
    return f"recording.{EXTENSIONS.get(kind(media_type), 'bin')}"
