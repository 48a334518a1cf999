"""Reads transcripts. Providers name the same things differently, and never one name for two things: one shape does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final

import msgspec
from google.protobuf.duration_pb2 import Duration

from trunkline.v1 import audio_pb2
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.wire.audio.usage import UsageTold, milliseconds
from trunkline_server.wire.dialect import parse
from trunkline_server.wire.frames import EventStream
from trunkline_server.wire.openai_chat.failures import of_event

SENTENCE_ENDS: Final = (".", "?", "!", "…", "。", "？", "！")  # noqa: RUF001 - as they are written there


class Span(msgspec.Struct, gc=False):
    """A word or a segment. Pauses and noises are spans too at some; `type` tells."""

    text: str | None = None
    word: str | None = None
    start: float | None = None
    end: float | None = None
    timestamp: tuple[float | None, float | None] | None = None
    type: str | None = None
    speaker: str | int | None = None
    speaker_id: str | int | None = None

    @property
    def said(self) -> str:
        return self.text or self.word or ""

    @property
    def voice(self) -> str:
        told = self.speaker if self.speaker is not None else self.speaker_id
        return "" if told is None else str(told)

    @property
    def offsets(self) -> tuple[Duration, Duration]:
        """From when to when."""
        start, end = self.timestamp or (self.start, self.end)
        return length(start), length(end if end is not None else start)


class Told(msgspec.Struct, gc=False):
    """A whole answer, or an event of one that is streamed."""

    text: str | None = None
    type: str | None = None
    delta: str | None = None
    language: str | None = None
    language_code: str | None = None
    duration: float | str | None = None
    audio_duration_secs: float | None = None
    segments: list[Span] | None = None
    chunks: list[Span] | None = None
    words: list[Span] | None = None
    usage: UsageTold | None = None
    model: str | None = None
    transcription_id: str | None = None
    error: object = None
    start: float | None = None
    end: float | None = None
    speaker: str | int | None = None

    @property
    def span(self) -> Span:
        """An event that is a segment."""
        return Span(self.text, start=self.start, end=self.end, speaker=self.speaker)

    @property
    def length_s(self) -> float | None:
        """How long the recording is, as far as it is told."""
        told = self.audio_duration_secs if self.audio_duration_secs is not None else self.duration
        try:
            return None if told is None else float(told)
        except ValueError:
            return None


TOLD: Final = msgspec.json.Decoder(Told)
END: Final = "transcript.text.done"


def read_body(body: bytes) -> Told:
    """An answer in one piece. One without a text is none, whatever its status."""
    told = parse(TOLD, body)
    if told.error is not None:
        raise of_event(body)
    if told.text is None:
        raise UpstreamFailure(FailureKind.BROKEN)
    return told


def read_events(body: bytes) -> Told:
    """An answer that was asked for as a stream: its last event has everything but the segments."""
    stream = EventStream()
    events = [_event(data) for _, data in (*stream.feed(body), *stream.close()) if data.strip() != b"[DONE]"]
    done = next((event for event in events if event.type == END), None)
    if done is None or done.text is None:
        raise UpstreamFailure(FailureKind.BROKEN)
    spans = [each.span for each in events if each.type == "transcript.text.segment"]
    return msgspec.structs.replace(done, segments=done.segments or spans or None)


def _event(data: bytes) -> Told:
    event = parse(TOLD, data)
    if event.error is not None or event.type == "error":
        raise of_event(data)
    return event


def write(told: Told, asked: audio_pb2.TranscriptionInput) -> audio_pb2.Transcript:
    """The transcript, with as many times in it as were asked for."""
    transcript = audio_pb2.Transcript(text=told.text or "", language=told.language or told.language_code or "")
    if told.length_s:
        transcript.duration.CopyFrom(length(told.length_s))
    by_word = asked.timestamps == audio_pb2.TIMESTAMP_GRANULARITY_WORD
    if by_word:
        transcript.words.extend(_words(told.words or told.chunks or ()))
    if asked.diarize or asked.timestamps == audio_pb2.TIMESTAMP_GRANULARITY_SEGMENT:
        spans = told.segments or (not by_word and told.chunks) or ()
        transcript.segments.extend(_segments(spans) if spans else _sentences(told.words or ()))
    return transcript


def length(seconds: float | None) -> Duration:
    """As a Duration."""
    duration = Duration()
    duration.FromMilliseconds(milliseconds(seconds or 0.0))
    return duration


def _words(spans: Iterable[Span]) -> Iterator[audio_pb2.TranscriptionWord]:
    for span in spans:
        if span.type in (None, "word") and span.said:
            start, end = span.offsets
            yield audio_pb2.TranscriptionWord(
                text=span.said.strip(), start_offset=start, end_offset=end, speaker=span.voice
            )


def _segments(spans: Iterable[Span]) -> Iterator[audio_pb2.TranscriptionSegment]:
    for span in spans:
        start, end = span.offsets
        yield audio_pb2.TranscriptionSegment(
            text=span.said.strip(), start_offset=start, end_offset=end, speaker=span.voice
        )


def _sentences(words: Sequence[Span]) -> Iterator[audio_pb2.TranscriptionSegment]:
    """Segments out of words, where a provider has only those: a new one where another speaks, or a sentence ends."""
    edges = [at for at in range(1, len(words)) if _parted(words, at)]
    for start, end in pairwise([0, *edges, len(words)]):
        spans = words[start:end]
        # words that come without the spaces between them get some
        gap = "" if any(span.type == "spacing" for span in words) else " "
        if text := gap.join(span.said for span in spans).strip():
            yield audio_pb2.TranscriptionSegment(
                text=text,
                start_offset=spans[0].offsets[0],
                end_offset=spans[-1].offsets[1],
                speaker=next((span.voice for span in spans if span.voice), ""),
            )


def _parted(words: Sequence[Span], at: int) -> bool:
    """Whether something new begins at that place."""
    before, after = words[at - 1], words[at]
    return before.voice != after.voice or before.said.rstrip().endswith(SENTENCE_ENDS)
