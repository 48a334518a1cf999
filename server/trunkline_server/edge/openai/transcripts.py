"""`/v1/audio/transcriptions` and `/v1/audio/translations`: a form with a recording, answered in several shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from trunkline.v1 import audio_pb2, content_pb2
from trunkline_server.core.errors import invalid
from trunkline_server.door.boundary import Procedure, Visit
from trunkline_server.edge.exchange import Exchange, Reply
from trunkline_server.edge.facts import answer_headers
from trunkline_server.edge.forms import File, Form
from trunkline_server.edge.openai.errand import FormErrand, extension, in_events, told
from trunkline_server.edge.reading import extend

TRANSCRIBE: Final = "/trunkline.v1.AudioService/Transcribe"
TRANSLATE: Final = "/trunkline.v1.AudioService/TranslateAudio"
_SEGMENT: Final = audio_pb2.TIMESTAMP_GRANULARITY_SEGMENT
_WORD: Final = audio_pb2.TIMESTAMP_GRANULARITY_WORD
_TIMED: Final = ("verbose_json", "srt", "vtt")
_SHAPES: Final = ("json", "text", *_TIMED)
_TYPES: Final[Mapping[str, str]] = {
    "flac": "audio/flac",
    "m4a": "audio/mp4",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "mpeg": "audio/mpeg",
    "mpga": "audio/mpeg",
    "oga": "audio/ogg",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "wav": "audio/wav",
    "webm": "video/webm",
}
_TEXT_DELTA: Final = "transcript.text.delta"
_TEXT_DONE: Final = "transcript.text.done"
_UNTOLD: Final = ("", "application/octet-stream")


class Transcriptions(FormErrand):
    """The recording comes in one request, so it has its part in how large that may be."""

    request: Callable[..., Message] = audio_pb2.TranscribeRequest
    task = "transcribe"

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange)
        self._shape = "json"

    async def read(self, visit: Visit, body: bytes) -> tuple[Procedure, Message]:
        form = self.form(body)
        self._shape = form.text("response_format") or "json"
        self.streamed = self.streamed and self._shape not in _TIMED
        if self._shape not in _SHAPES:
            raise invalid("response_format", f"must be one of {', '.join(_SHAPES)}")
        return visit.procedure, type(self).request(input=_input_of(form, self._shape))

    def write(self, visit: Visit, response: Any) -> Reply:
        transcript: audio_pb2.Transcript = response.transcript
        if self._shape in _PLAIN and not self.streamed:
            headers = (("content-type", "text/plain; charset=utf-8"), *answer_headers(visit, response))
            return Reply(200, headers, _PLAIN[self._shape](transcript).encode())
        if self.streamed:
            text = transcript.text
            return in_events(visit, response, {"type": _TEXT_DELTA, "delta": text}, {"type": _TEXT_DONE, "text": text})
        verbose = self._shape == "verbose_json"
        return told(visit, response, {"task": self.task, **_verbose(transcript)} if verbose else _brief(transcript))


class Translations(Transcriptions):
    """The same in English."""

    request = audio_pb2.TranslateAudioRequest
    task = "translate"


def _input_of(form: Form, shape: str) -> audio_pb2.TranscriptionInput:
    input = extend(audio_pb2.TranscriptionInput(), extension(form), form.text("model"))
    for file in form.all_files("file")[:1]:
        input.audio.CopyFrom(content_pb2.Blob(data=file.data, media_type=_media_type(file)))
    for name in ("language", "prompt"):
        if value := form.text(name):
            setattr(input, name, value)
    if temperature := form.text("temperature"):
        input.temperature = _number(temperature)
    if "word" in form.texts.get("timestamp_granularities", ()):
        input.timestamps = _WORD
    elif shape in _TIMED:
        input.timestamps = _SEGMENT
    return input


def _media_type(file: File) -> str:
    """By the end of its name, where that is all there is."""
    said = file.media_type.lower()
    return _TYPES.get(file.name.rpartition(".")[2].lower(), said) if said in _UNTOLD else said


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise invalid("temperature", "must be a number") from None


def _brief(transcript: audio_pb2.Transcript) -> dict[str, Any]:
    return {"text": transcript.text}


def _verbose(transcript: audio_pb2.Transcript) -> dict[str, Any]:
    return {
        "text": transcript.text,
        "language": transcript.language,
        "duration": _length_s(transcript),
        "segments": [{"id": at, "text": each.text, **_times(each)} for at, each in enumerate(transcript.segments)],
        "words": [{"word": each.text, **_times(each)} for each in transcript.words],
    }


def _length_s(transcript: audio_pb2.Transcript) -> float:
    """As told, else up to the last word."""
    ends = [_seconds(segment.end_offset) for segment in transcript.segments]
    ends += [_seconds(word.end_offset) for word in transcript.words]
    return _seconds(transcript.duration) or max(ends, default=0.0)


def _times(part: audio_pb2.TranscriptionSegment | audio_pb2.TranscriptionWord) -> dict[str, float]:
    return {"start": _seconds(part.start_offset), "end": _seconds(part.end_offset)}


def _seconds(offset: Duration) -> float:
    return offset.seconds + offset.nanos / 1e9


def _srt(transcript: audio_pb2.Transcript) -> str:
    return "".join(f"{at}\n{cue}" for at, cue in enumerate(_cues(transcript, ","), 1))


def _vtt(transcript: audio_pb2.Transcript) -> str:
    return "WEBVTT\n\n" + "".join(_cues(transcript, "."))


def _cues(transcript: audio_pb2.Transcript, point: str) -> Iterable[str]:
    for segment in transcript.segments:
        start, end = _clock(segment.start_offset, point), _clock(segment.end_offset, point)
        yield f"{start} --> {end}\n{segment.text.strip()}\n\n"


def _clock(offset: Duration, point: str) -> str:
    minutes, seconds = divmod(offset.seconds, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}{point}{offset.nanos // 1_000_000:03}"


_PLAIN: Final[Mapping[str, Callable[[audio_pb2.Transcript], str]]] = {
    "text": lambda transcript: f"{transcript.text}\n",
    "srt": _srt,
    "vtt": _vtt,
}
