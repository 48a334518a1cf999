"""Transcription and translation: a model that hears is asked for the words, and answers with them alone."""

# ruff: noqa: ARG002 - not every craft needs all that it is given

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Generic

import msgspec

from trunkline.v1 import audio_pb2, chat_pb2, content_pb2
from trunkline_server.core.errand import Errand
from trunkline_server.core.errors import Reason, invalid
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.product import BodyT, Product
from trunkline_server.wire import dialect
from trunkline_server.wire.craft import Craft
from trunkline_server.wire.gemini.blobs import encode_blob
from trunkline_server.wire.gemini.chunks import FINISH_REASONS, UNBLOCKED
from trunkline_server.wire.gemini.failures import of_error_object
from trunkline_server.wire.gemini.names import qualified
from trunkline_server.wire.gemini.shapes import Candidate, Chunk, is_told
from trunkline_server.wire.gemini.usage import read_usage
from trunkline_server.wire.http import HttpRequest

Asked = Errand[audio_pb2.TranscriptionInput]

CHUNK: Final = msgspec.json.Decoder(Chunk)
FILES_URL: Final = "https://generativelanguage.googleapis.com/v1beta/files/"
CUT: Final = "MAX_TOKENS"


@dataclass(frozen=True)
class Hearing(Craft[audio_pb2.TranscriptionInput, BodyT], Generic[BodyT]):
    """Times and speakers would be guesses of the model, so they are not asked for."""

    version: str = "/v1beta"
    files_url: str = FILES_URL
    wish: ClassVar[str]
    """What the model is told to do."""

    @abstractmethod
    def body_of(self, told: audio_pb2.Transcript) -> BodyT:
        """The response around a transcript."""

    def encode(self, errand: Asked) -> HttpRequest:
        asked = errand.input
        for field in ("timestamps", "diarize"):
            if getattr(asked, field):
                errand.drop(field, "this provider does not tell it")
        parts = [self._recording(asked), {"text": " ".join(self._wishes(asked))}]
        config = {"temperature": asked.temperature, "candidateCount": 1}
        body: dict[str, object] = {"contents": [{"role": "user", "parts": parts}], "generationConfig": config}
        spelled = dialect.spell(dialect.merge(body, errand.options))
        path = f"{self.version}/{qualified(errand.model)}:generateContent"
        return HttpRequest("POST", path, dialect.JSON_HEADERS, spelled)

    def decode(self, errand: Asked, headers: Mapping[str, str], body: bytes) -> Product[BodyT]:
        told = dialect.parse(CHUNK, body)
        if is_told(told.error):
            raise of_error_object(told.error)
        if told.prompt_feedback is not None and told.prompt_feedback.block_reason not in UNBLOCKED:
            raise UpstreamFailure(FailureKind.FILTERED, 200, told.prompt_feedback.block_reason or "")
        transcript = audio_pb2.Transcript(text=_words(told.candidates or ()))
        usage = read_usage(told.usage_metadata, 0) if told.usage_metadata is not None else None
        return Product(self.body_of(transcript), usage, told.model_version or "", told.response_id or "")

    def _recording(self, asked: audio_pb2.TranscriptionInput) -> dict[str, object]:
        if asked.audio.WhichOneof("source") == "uri":
            raise invalid("input.audio", "recordings are taken as bytes only", Reason.CAPABILITY_UNSUPPORTED)
        blob = content_pb2.Blob()
        blob.CopyFrom(asked.audio)
        blob.media_type = blob.media_type or asked.media_type
        return encode_blob(blob, "audio", self.files_url)

    def _wishes(self, asked: audio_pb2.TranscriptionInput) -> Iterator[str]:
        yield self.wish
        if asked.language:
            yield f"The language that is spoken is {asked.language}."
        if asked.prompt:
            yield f"For the spelling, words that may come up: {asked.prompt}"


def _words(candidates: Sequence[Candidate]) -> str:
    """What the first one says, without its thoughts. A part of the words would pass for the whole, so it is refused."""
    if not candidates or candidates[0].finish_reason == CUT:
        raise UpstreamFailure(FailureKind.BROKEN)
    first = candidates[0]
    parts = (first.content.parts if first.content else None) or ()
    said = "".join(part.text or "" for part in parts if not part.thought)
    if not said and FINISH_REASONS.get(first.finish_reason or "") == chat_pb2.FINISH_REASON_CONTENT_FILTER:
        raise UpstreamFailure(FailureKind.FILTERED, 200, first.finish_reason or "")
    return said.strip()


@dataclass(frozen=True)
class GeminiTranscription(Hearing[audio_pb2.TranscribeResponse]):
    """In the language that is spoken."""

    wish: ClassVar[str] = (
        "Write down word for word what is said in this recording, in the language that is spoken. "
        "Answer with these words alone, and with nothing where nothing is said."
    )

    def body_of(self, told: audio_pb2.Transcript) -> audio_pb2.TranscribeResponse:
        return audio_pb2.TranscribeResponse(transcript=told)


@dataclass(frozen=True)
class GeminiTranslation(Hearing[audio_pb2.TranslateAudioResponse]):
    """Into English."""

    wish: ClassVar[str] = (
        "Write down in English what is said in this recording. "
        "Answer with the translation alone, and with nothing where nothing is said."
    )

    def body_of(self, told: audio_pb2.Transcript) -> audio_pb2.TranslateAudioResponse:
        return audio_pb2.TranslateAudioResponse(transcript=told)
