"""Speech: a model that answers with samples, streamed as chunks of any other answer are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from trunkline.v1 import audio_pb2, chat_pb2
from trunkline_server.core.errand import Errand
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.product import Sound
from trunkline_server.wire import dialect
from trunkline_server.wire.audio import formats
from trunkline_server.wire.audio.formats import Formats
from trunkline_server.wire.audio.sounds import Events
from trunkline_server.wire.audio.wav import wav_head
from trunkline_server.wire.craft import SpeechCraft
from trunkline_server.wire.gemini.blobs import read_inline
from trunkline_server.wire.gemini.chunks import FINISH_REASONS, UNBLOCKED, UNFINISHED
from trunkline_server.wire.gemini.failures import of_error_object
from trunkline_server.wire.gemini.names import qualified
from trunkline_server.wire.gemini.shapes import Candidate, Chunk, InlineData, is_told
from trunkline_server.wire.gemini.usage import read_usage
from trunkline_server.wire.http import HttpRequest

CHUNK: Final = msgspec.json.Decoder(Chunk)
RATE: Final = re.compile(r";\s*rate=(\d{4,6})\b")
FORMATS: Final = Formats({formats.SAMPLES: None, formats.WAV: None})


@dataclass(frozen=True)
class Speech(SpeechCraft):
    """`voice` speaks where none is named. It takes no instructions apart from the words, so they stand before them."""

    version: str = "/v1beta"
    voice: str = "Kore"
    formats: Formats = field(default_factory=lambda: FORMATS)

    def encode(self, errand: Errand[audio_pb2.SpeechInput]) -> HttpRequest:
        asked = errand.input
        self.formats.choose(errand)
        if asked.HasField("speed"):
            errand.drop("speed", "this provider speaks at its own speed; it can be told in the instructions")
        speech: dict[str, object] = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": asked.voice or self.voice}}}
        if asked.language:
            speech["languageCode"] = asked.language
        text = f"{asked.instructions}\n\n### TRANSCRIPT\n{asked.text}" if asked.instructions else asked.text
        body: dict[str, object] = {
            "contents": [{"role": "user", "parts": [{"text": text}]}],
            "generationConfig": {"responseModalities": ["AUDIO"], "speechConfig": speech},
        }
        path = f"{self.version}/{qualified(errand.model)}:streamGenerateContent?alt=sse"
        return HttpRequest("POST", path, dialect.STREAM_HEADERS, dialect.spell(dialect.merge(body, errand.options)))

    def decode(
        self, errand: Errand[audio_pb2.SpeechInput], sound: Sound, headers: Mapping[str, str]
    ) -> dialect.Decoder:
        if dialect.media_type(headers.get("content-type", "")) != "text/event-stream":
            raise UpstreamFailure(FailureKind.BROKEN)
        made = self.formats.chosen(errand.input)
        sound.media_type = self.formats.spelled(made)
        return Chunks(sound, self.formats, as_file=made == formats.WAV)


class Chunks(Events):
    """The last chunk has a finish reason; one that withholds the words for what they say has no sound."""

    def __init__(self, sound: Sound, made: Formats, *, as_file: bool) -> None:
        super().__init__(sound)
        self._rate_hz = made.rate_hz
        self._as_file = as_file

    def take(self, data: bytes) -> None:
        chunk = dialect.parse(CHUNK, data)
        if is_told(chunk.error):
            raise of_error_object(chunk.error)
        if chunk.prompt_feedback is not None and chunk.prompt_feedback.block_reason not in UNBLOCKED:
            raise UpstreamFailure(FailureKind.FILTERED, 200, chunk.prompt_feedback.block_reason or "")
        if chunk.usage_metadata is not None:
            self._sound.usage = read_usage(chunk.usage_metadata, 0)
        self._sound.response_id = self._sound.response_id or chunk.response_id or ""
        for candidate in chunk.candidates or ():
            self._hear(candidate)

    def _hear(self, candidate: Candidate) -> None:
        for part in (candidate.content.parts if candidate.content else None) or ():
            if part.inline_data is not None:
                self._samples(part.inline_data)
        if candidate.finish_reason in UNFINISHED:
            return
        known = FINISH_REASONS.get(candidate.finish_reason or "")
        if known == chat_pb2.FINISH_REASON_CONTENT_FILTER and not self._sound.byte_count:
            raise UpstreamFailure(FailureKind.FILTERED, 200, candidate.finish_reason or "")
        self._sound.finished = True

    def _samples(self, inline: InlineData) -> None:
        data = read_inline(inline).audio.blob.data
        if data and not self._sound.byte_count:
            self._begin(inline.mime_type or "")
        self._sound.add(data)

    def _begin(self, media_type: str) -> None:
        """Before the first samples: the rate that they really have."""
        rate = RATE.search(media_type)
        rate_hz = int(rate[1]) if rate else self._rate_hz
        if self._as_file:
            self._sound.add(wav_head(rate_hz))
        else:
            self._sound.media_type = f"{formats.SAMPLES};rate={rate_hz}"
