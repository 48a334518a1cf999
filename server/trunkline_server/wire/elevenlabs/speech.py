"""Speech: the voice stands in the path, the format behind it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from trunkline.v1 import audio_pb2
from trunkline_server.core.errand import Errand
from trunkline_server.core.errors import invalid
from trunkline_server.core.product import Sound
from trunkline_server.wire.audio import formats, sounds
from trunkline_server.wire.audio.formats import Formats
from trunkline_server.wire.audio.wav import wav_head
from trunkline_server.wire.craft import SpeechCraft
from trunkline_server.wire.dialect import Decoder, merge, spell
from trunkline_server.wire.http import HttpRequest

HEADERS: Final[Mapping[str, str]] = {"content-type": "application/json", "accept": "*/*"}
VOICE: Final = re.compile(r"[A-Za-z0-9_-]+")
FORMATS: Final = Formats(
    {
        formats.MPEG: "mp3_44100_128",
        formats.OGG: "opus_48000_96",
        formats.WAV: "pcm_24000",  # we put the head before it, so that it can be streamed
        formats.SAMPLES: "pcm_24000",
    }
)


@dataclass(frozen=True)
class Speech(SpeechCraft):
    """`voice` speaks where none is named; `speeds` are the slowest and the fastest."""

    path: str = "/text-to-speech/{voice}/stream?output_format={format}"
    voice: str = "JBFqnCBsd6RMkjVDRZzb"
    formats: Formats = field(default_factory=lambda: FORMATS)
    speeds: tuple[float, float] = (0.7, 1.2)

    def encode(self, errand: Errand[audio_pb2.SpeechInput]) -> HttpRequest:
        asked = errand.input
        body: dict[str, object] = {}
        if asked.language:
            body["language_code"] = asked.language.partition("-")[0].lower()
        if asked.HasField("speed"):
            body["voice_settings"] = {"speed": self._speed(errand)}
        if asked.instructions:
            errand.drop("instructions", "this provider takes none")
        word = self.formats.words[self.formats.choose(errand)]
        path = self.path.format(voice=self._voice(asked), format=word)
        # what is paid for comes last, so that no further field replaces it
        body = merge(body, errand.options) | {"text": asked.text, "model_id": errand.model}
        return HttpRequest("POST", path, HEADERS, spell(body))

    def decode(self, errand: Errand[audio_pb2.SpeechInput], sound: Sound, headers: Mapping[str, str]) -> Decoder:
        made = self.formats.chosen(errand.input)
        if made == formats.WAV:
            sound.media_type = made
            return sounds.reader(sound, headers, wav_head(self.formats.rate_hz))
        sound.media_type = self.formats.heard(made, headers.get("content-type", ""))
        return sounds.reader(sound, headers)

    def _voice(self, asked: audio_pb2.SpeechInput) -> str:
        """It goes into the path, so nothing may stand there that could leave it."""
        if asked.voice and not VOICE.fullmatch(asked.voice):
            raise invalid("input.voice", "this provider wants the id of a voice; the list of voices has it")
        return asked.voice or self.voice

    def _speed(self, errand: Errand[audio_pb2.SpeechInput]) -> float:
        slowest, fastest = self.speeds
        speed = min(max(errand.input.speed, slowest), fastest)
        if speed != errand.input.speed:
            errand.adjust("speed", f"this provider speaks at {slowest:g} to {fastest:g}; it is {speed:g}")
        return speed
