"""Speech: a text and a voice, answered by sound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from trunkline.v1 import audio_pb2
from trunkline_server.core.errand import Errand
from trunkline_server.core.product import Sound
from trunkline_server.wire.audio import sounds
from trunkline_server.wire.audio.formats import Formats
from trunkline_server.wire.craft import SpeechCraft
from trunkline_server.wire.dialect import Decoder, merge, spell
from trunkline_server.wire.http import HttpRequest

Asked = Errand[audio_pb2.SpeechInput]

HEADERS: Final[Mapping[str, str]] = {"content-type": "application/json", "accept": "*/*"}
NEVER: Final = ("\0",)


@dataclass(frozen=True)
class Speaking(SpeechCraft):
    """Fields that are empty are those that a provider does not have.

    `voice` speaks where none is named. `says_format`: the provider's own choice is not the first of `formats`, so it is
    always told. `event_models` (beginnings of names) tell their usage, but only in events. `instructed_models` can be
    told in which manner to speak.
    """

    path: str = "/audio/speech"
    model_field: str = "model"
    text_field: str = "input"
    voice_field: str = "voice"
    voice: str = ""
    format_field: str = "response_format"
    formats: Formats = field(default_factory=Formats)
    says_format: bool = False
    speed_field: str = "speed"
    language_field: str = ""
    language: str = ""
    instructed_models: tuple[str, ...] = NEVER
    event_models: tuple[str, ...] = NEVER

    def encode(self, errand: Asked) -> HttpRequest:
        body = merge(self._body(errand), errand.options) | self._billed(errand)
        return HttpRequest("POST", self.place(errand), HEADERS, spell(body))

    def decode(self, errand: Asked, sound: Sound, headers: Mapping[str, str]) -> Decoder:
        told = headers.get("content-type", "")
        sound.media_type = self.formats.heard(self.formats.chosen(errand.input), told)
        return sounds.reader(sound, headers)

    def place(self, errand: Asked) -> str:  # noqa: ARG002 - for those that have a place for each model
        """Where it is asked for."""
        return self.path

    def _body(self, errand: Asked) -> dict[str, object]:
        asked = errand.input
        said = {
            self.voice_field: asked.voice or self.voice,
            self.format_field: self._format(errand),
            self.speed_field: asked.speed if asked.HasField("speed") else None,
            self.language_field: asked.language or self.language,
            "instructions": asked.instructions if errand.model.startswith(self.instructed_models) else None,
            "stream_format": "sse" if errand.model.startswith(self.event_models) else None,
        }
        if asked.HasField("speed") and not self.speed_field:
            errand.drop("speed", "this provider speaks at its own speed")
        if asked.instructions and not said["instructions"]:
            errand.drop("instructions", "this model takes none")
        if asked.voice and not self.voice_field:
            errand.drop("voice", "this model has one voice")
        return {name: value for name, value in said.items() if name and value}

    def _billed(self, errand: Asked) -> dict[str, object]:
        """What is paid for, which no further field replaces."""
        said = {self.model_field: errand.model, self.text_field: errand.input.text}
        return {name: value for name, value in said.items() if name}

    def _format(self, errand: Asked) -> object:
        chosen = self.formats.choose(errand)
        return self.formats.words[chosen] if errand.input.media_type or self.says_format else None
