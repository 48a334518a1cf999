"""Text to speech: a model has one voice, and makes one kind of sound."""

from __future__ import annotations

from dataclasses import dataclass, field

from trunkline.v1 import audio_pb2
from trunkline_server.core.errand import Errand
from trunkline_server.wire.audio import formats
from trunkline_server.wire.audio.formats import Formats
from trunkline_server.wire.audio.speaking import Speaking
from trunkline_server.wire.huggingface import task_path


@dataclass(frozen=True)
class TaskSpeech(Speaking):
    """It is told the words, and nothing else."""

    model_field: str = ""
    text_field: str = "inputs"
    voice_field: str = ""
    format_field: str = ""
    formats: Formats = field(default_factory=lambda: Formats({formats.FLAC: None}))
    speed_field: str = ""

    def place(self, errand: Errand[audio_pb2.SpeechInput]) -> str:
        return task_path(errand.model)
