"""Transcription and translation: a form with a file, answered by JSON."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic

from trunkline.v1 import audio_pb2, content_pb2
from trunkline_server.core.errand import Errand
from trunkline_server.core.errors import Reason, invalid
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.product import BodyT, Product
from trunkline_server.wire.audio import transcript
from trunkline_server.wire.audio.formats import filename
from trunkline_server.wire.audio.usage import read_usage
from trunkline_server.wire.craft import Craft
from trunkline_server.wire.dialect import form_text, media_type
from trunkline_server.wire.http import HttpRequest
from trunkline_server.wire.multipart import Field, multipart

SEGMENT: Final = audio_pb2.TIMESTAMP_GRANULARITY_SEGMENT
WORD: Final = audio_pb2.TIMESTAMP_GRANULARITY_WORD
Asked = Errand[audio_pb2.TranscriptionInput]
Times = Mapping[audio_pb2.TimestampGranularity.ValueType, tuple[Field, ...]]

RECORDINGS: Final = frozenset({"file", "file_id", "file_url", "url", "cloud_storage_url", "source_url"})

OPENAI_TIMES: Final[Times] = {
    SEGMENT: (("timestamp_granularities[]", "segment"),),
    WORD: (("timestamp_granularities[]", "word"),),
}


@dataclass(frozen=True)
class Hearing(Craft[audio_pb2.TranscriptionInput, BodyT], Generic[BodyT]):
    """Fields that are empty are those that a provider does not have.

    `times` and `speakers` are the fields that ask for times and speakers. `verbose_models` (beginnings of names) answer
    with times and length when asked for `verbose_json`, which they always are where `always_verbose`, for the sake of
    the length. `speaker_models` tell speakers, and always do.
    """

    path: str = "/audio/transcriptions"
    model_field: str = "model"
    language_field: str = "language"
    needs_language: bool = False
    prompt_field: str = "prompt"
    temperature_field: str = "temperature"
    url_field: str = ""
    times: Times = field(default_factory=lambda: OPENAI_TIMES)
    speakers: tuple[Field, ...] = ()
    verbose_models: tuple[str, ...] | None = ("whisper",)
    always_verbose: bool = True
    speaker_models: tuple[str, ...] = ()

    @abstractmethod
    def body_of(self, told: audio_pb2.Transcript) -> BodyT:
        """The response around a transcript."""

    def encode(self, errand: Asked) -> HttpRequest:
        blob = errand.input.audio
        fields = [*self._named(errand), *self._timed(errand)]
        files = []
        if blob.WhichOneof("source") == "data":
            said = blob.media_type or errand.input.media_type
            files = [("file", filename(said), said, blob.data)]
        else:
            fields.append(self._address(errand.provider, blob))
        content_type, body = multipart(self._merged(fields, errand.options), files)
        return HttpRequest("POST", self.path, {"content-type": content_type, "accept": "application/json"}, body)

    def decode(self, errand: Asked, headers: Mapping[str, str], body: bytes) -> Product[BodyT]:
        match media_type(headers.get("content-type", "")):
            case "application/json":
                told = transcript.read_body(body)
            case "text/event-stream":
                told = transcript.read_events(body)
            case _:
                raise UpstreamFailure(FailureKind.BROKEN)
        return Product(
            self.body_of(transcript.write(told, errand.input)),
            read_usage(told.usage, told.length_s),
            told.model or "",
            told.transcription_id or headers.get("x-request-id", ""),
        )

    def _named(self, errand: Asked) -> Iterator[Field]:
        """What is said in a field of its own."""
        asked = errand.input
        if self.model_field:
            yield self.model_field, errand.model
        if asked.language and self.language_field:
            yield self.language_field, asked.language.partition("-")[0].lower()
        elif asked.language:
            errand.drop("language", "this provider cannot be told the language")
        elif self.needs_language:
            raise invalid("input.language", "this provider must be told the language", Reason.CAPABILITY_UNSUPPORTED)
        if asked.prompt and self.prompt_field and not errand.model.startswith(self.speaker_models or ("\0",)):
            yield self.prompt_field, asked.prompt
        elif asked.prompt:
            errand.drop("prompt", "this model takes no prompt")
        if asked.HasField("temperature") and self.temperature_field:
            yield self.temperature_field, f"{asked.temperature:g}"
        elif asked.HasField("temperature"):
            errand.drop("temperature", "this provider takes no temperature")

    def _timed(self, errand: Asked) -> Iterator[Field]:
        """Times and speakers."""
        asked, model = errand.input, errand.model
        if self.speaker_models and model.startswith(self.speaker_models):
            yield from (("response_format", "diarized_json"), ("chunking_strategy", "auto"))
            if asked.timestamps == WORD:
                errand.adjust("timestamps", "this model tells no times of words, but of segments")
            return
        fields = dict.fromkeys(self._times(errand))
        if asked.diarize and self.speakers:
            fields |= dict.fromkeys(self.speakers)
        elif asked.diarize:
            errand.drop("diarize", "this model does not tell speakers")
        yield from fields

    def _times(self, errand: Asked) -> Iterator[Field]:
        wanted = errand.input.timestamps
        verbose = self.verbose_models is not None and errand.model.startswith(self.verbose_models)
        if wanted and (wanted not in self.times or (self.verbose_models is not None and not verbose)):
            errand.drop("timestamps", "this model does not tell them")
            wanted = audio_pb2.TIMESTAMP_GRANULARITY_UNSPECIFIED
        if self.verbose_models is not None:
            yield "response_format", "verbose_json" if verbose and (wanted or self.always_verbose) else "json"
        yield from self.times.get(wanted, ())

    def _merged(self, fields: list[Field], options: Mapping[str, object]) -> list[Field]:
        """The caller's further fields in place of ours of the same name, but for what is paid for; a list is a field
        for each of its items.
        """
        further = {name: value for name, value in options.items() if name not in {self.model_field, *RECORDINGS}}
        kept = [each for each in fields if each[0] not in further]
        items = ((name, value if isinstance(value, list) else [value]) for name, value in further.items())
        return kept + [(name, form_text(item)) for name, values in items for item in values]

    def _address(self, provider: str, blob: content_pb2.Blob) -> Field:
        if not self.url_field or not blob.uri:
            raise invalid("input.audio", f"{provider} takes recordings as bytes only", Reason.CAPABILITY_UNSUPPORTED)
        return self.url_field, blob.uri


@dataclass(frozen=True)
class Transcription(Hearing[audio_pb2.TranscribeResponse]):
    """In the language that is spoken."""

    def body_of(self, told: audio_pb2.Transcript) -> audio_pb2.TranscribeResponse:
        return audio_pb2.TranscribeResponse(transcript=told)


@dataclass(frozen=True)
class Translation(Hearing[audio_pb2.TranslateAudioResponse]):
    """Into English; which language is spoken is found out."""

    path: str = "/audio/translations"
    language_field: str = ""
    times: Times = field(default_factory=lambda: {SEGMENT: ()})

    def body_of(self, told: audio_pb2.Transcript) -> audio_pb2.TranslateAudioResponse:
        return audio_pb2.TranslateAudioResponse(transcript=told)
