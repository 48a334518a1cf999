"""Recordings: what goes out to each provider, and what is made of the transcripts that come. All bodies are our own."""

from __future__ import annotations

import base64
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.audio import (
    LISTENERS,
    SEGMENT,
    SSE,
    WORD,
    craft,
    dropped,
    events,
    heard,
    read,
    sent,
    spoiled,
    unhurried,
)
from trunkline.v1 import content_pb2
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.operation import Operation


@pytest.mark.parametrize(
    ("provider", "model", "path", "fields"),
    [
        ("openai", "whisper-1", "/audio/transcriptions", [("model", "whisper-1"), ("response_format", "verbose_json")]),
        (
            "openai",
            "gpt-4o-transcribe",
            "/audio/transcriptions",
            [("model", "gpt-4o-transcribe"), ("response_format", "json")],
        ),
        (
            "openai",
            "gpt-4o-transcribe-diarize",
            "/audio/transcriptions",
            [
                ("model", "gpt-4o-transcribe-diarize"),
                ("response_format", "diarized_json"),
                ("chunking_strategy", "auto"),
            ],
        ),
        (
            "groq",
            "whisper-large-v3",
            "/audio/transcriptions",
            [("model", "whisper-large-v3"), ("response_format", "verbose_json")],
        ),
        ("mistral", "voxtral", "/audio/transcriptions", [("model", "voxtral")]),
        ("openrouter", "m", "/audio/transcriptions", [("model", "m")]),
        ("elevenlabs", "scribe_v1", "/speech-to-text", [("model_id", "scribe_v1")]),
        ("xai", "stt", "/stt", []),
    ],
)
def test_a_recording_alone(provider: str, model: str, path: str, fields: list[tuple[str, str]]) -> None:
    errand = heard(provider, model)
    request, form = sent(errand)
    assert (request.path, form) == (path, [*fields, ("file", "recording.wav audio/wav")])
    assert errand.warnings == []


@pytest.mark.parametrize(
    ("provider", "model", "fields", "lost"),
    [
        (
            *("openai", "whisper-1"),
            {
                "language": "de",
                "prompt": "P",
                "temperature": "0.5",
                "response_format": "verbose_json",
                "timestamp_granularities[]": "word",
            },
            ["diarize"],
        ),
        (
            *("openai", "gpt-4o-transcribe"),
            {"language": "de", "prompt": "P", "temperature": "0.5", "response_format": "json"},
            ["timestamps", "diarize"],
        ),
        (*("xai", "stt"), {"language": "de", "diarize": "true"}, ["prompt", "temperature"]),
        (
            *("elevenlabs", "m"),
            {
                "model_id": "m",
                "language_code": "de",
                "temperature": "0.5",
                "timestamps_granularity": "word",
                "diarize": "true",
            },
            ["prompt"],
        ),
        (*("cohere", "m"), {"language": "de", "temperature": "0.5"}, ["prompt", "timestamps", "diarize"]),
    ],
)
def test_all_that_can_be_said_of_a_recording(
    provider: str, model: str, fields: dict[str, str], lost: list[str]
) -> None:
    errand = heard(provider, model, language="de-AT", prompt="P", temperature=0.5, timestamps=WORD, diarize=True)
    _, form = sent(errand)
    assert dict(form) == {
        **({} if provider in ("elevenlabs", "xai") else {"model": model}),
        **fields,
        "file": dict(form)["file"],
    }
    assert dropped(errand) == lost


def test_mistral_tells_words_and_speakers() -> None:
    _, form = sent(heard("mistral", timestamps=WORD, diarize=True))
    times = [value for name, value in form if name == "timestamp_granularities"]
    assert times == ["word", "segment"]
    assert ("diarize", "true") in form


def test_cohere_must_know_the_language() -> None:
    with pytest.raises(TrunklineError) as refused:
        sent(heard("cohere"))
    assert refused.value.violations[0].field == "input.language"


def test_translation_is_told_no_language() -> None:
    errand = heard("openai", "whisper-1", language="de", timestamps=SEGMENT)
    request, form = sent(errand, Operation.AUDIO_TRANSLATION)
    assert request.path == "/audio/translations"
    assert form[:-1] == [("model", "whisper-1"), ("response_format", "verbose_json")]
    assert dropped(errand) == ["language"]


def test_further_fields_stand_in_the_form() -> None:
    options = {"temperature": 1, "include[]": ["logprobs", "x"], "file": "no", "model": "dear", "url": "http://x"}
    _, form = sent(heard("openai", "gpt-4o-transcribe", options, temperature=0.5))
    assert form == [
        *(("model", "gpt-4o-transcribe"), ("response_format", "json"), ("temperature", "1")),
        *(("include[]", "logprobs"), ("include[]", "x"), ("file", "recording.wav audio/wav")),
    ]


def test_an_address_goes_only_to_who_fetches_it() -> None:
    blob = content_pb2.Blob(uri="https://x.example/a.mp3")
    assert ("url", blob.uri) in sent(heard("groq", audio=blob))[1]
    assert ("file_url", blob.uri) in sent(heard("mistral", audio=blob))[1]
    with pytest.raises(TrunklineError) as refused:
        sent(heard("openai", audio=blob))
    assert refused.value.reason is Reason.CAPABILITY_UNSUPPORTED


def test_hugging_face_takes_bytes_or_json() -> None:
    mine = craft("huggingface", Operation.TRANSCRIPTION)
    plain = mine.encode(heard("huggingface", "openai/whisper-large-v3"))
    assert (plain.path, plain.headers["content-type"]) == ("/hf-inference/models/openai/whisper-large-v3", "audio/wav")
    assert plain.body == b"RIFF\r\n--"
    timed = json.loads(mine.encode(heard("huggingface", timestamps=WORD)).body)
    assert timed == {"inputs": base64.b64encode(plain.body).decode(), "parameters": {"return_timestamps": "word"}}


def test_a_verbose_transcript() -> None:
    body = {
        "text": " Hello you",
        "language": "english",
        "duration": 3.5,
        "task": "transcribe",
        "segments": [{"id": 0, "start": 0.0, "end": 3.25, "text": " Hello you"}],
        "words": [{"word": "Hello", "start": 0.5, "end": 1.0}, {"word": "you", "start": 1.0, "end": 1.25}],
    }
    text = json.dumps(body).encode()
    plain = read(heard("groq"), text)
    assert (plain.body.transcript.language, plain.body.transcript.duration.ToMilliseconds()) == ("english", 3500)
    assert not plain.body.transcript.words
    assert not plain.body.transcript.segments
    assert plain.usage
    assert dict(plain.usage.unit_counts) == {"audio_ms": 3500}
    (segment,) = read(heard("groq", timestamps=SEGMENT), text).body.transcript.segments
    assert (segment.text, segment.end_offset.ToMilliseconds()) == ("Hello you", 3250)
    words = read(heard("groq", timestamps=WORD), text).body.transcript.words
    assert [(word.text, word.start_offset.ToMilliseconds()) for word in words] == [("Hello", 500), ("you", 1000)]


def test_speakers_in_segments() -> None:
    body = {
        "text": "A B",
        "segments": [{"speaker": "A", "text": "A", "start": 0, "end": 1}, {"speaker_id": 2, "text": "B"}],
    }
    segments = read(heard("openai", diarize=True), json.dumps(body).encode()).body.transcript.segments
    assert [(each.text, each.speaker) for each in segments] == [("A", "A"), ("B", "2")]


def test_words_become_sentences() -> None:
    said_words = [("Hi", 0, 0), ("there.", 0, 0), ("You", 1, 0), ("too", 2, 1)]
    words = [{"text": text, "start": at, "end": at + 1, "speaker": who} for text, at, who in said_words]
    body = json.dumps({"text": "Hi there. You too", "words": words, "duration": 3}).encode()
    segments = read(heard("xai", diarize=True), body).body.transcript.segments
    assert [(each.text, each.speaker, each.start_offset.seconds) for each in segments] == [
        *(("Hi there.", "0", 0), ("You", "0", 1), ("too", "1", 2)),
    ]


def test_chunks_have_their_times_together() -> None:
    body = json.dumps({"text": "Hi", "chunks": [{"text": " Hi", "timestamp": [0.5, None]}]}).encode()
    (segment,) = read(heard("huggingface", timestamps=SEGMENT), body).body.transcript.segments
    assert (segment.text, segment.start_offset.ToMilliseconds(), segment.end_offset.ToMilliseconds()) == (
        "Hi",
        500,
        500,
    )


@pytest.mark.parametrize(
    ("usage", "units", "tokens"),
    [
        ({"type": "duration", "seconds": 4}, {"audio_ms": 4000}, 0),
        (
            {"input_tokens": 37, "input_token_details": {"audio_tokens": 30}, "output_tokens": 12},
            {"input_audio": 30},
            37,
        ),
        ({"prompt_audio_seconds": 5, "prompt_tokens": 6, "completion_tokens": 7}, {"audio_ms": 5000}, 6),
    ],
)
def test_usage_by_length_or_by_tokens(usage: object, units: dict[str, int], tokens: int) -> None:
    product = read(heard("openai"), json.dumps({"text": "Hi", "usage": usage}).encode())
    assert product.usage
    assert (dict(product.usage.unit_counts), product.usage.input_tokens) == (units, tokens)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", FailureKind.BROKEN),
        (b"[]", FailureKind.BROKEN),
        (b'{"words": []}', FailureKind.BROKEN),
        (b'{"error": {"message": "x", "code": 502}}', FailureKind.TRANSIENT),
    ],
)
def test_no_transcript(body: bytes, kind: FailureKind) -> None:
    with pytest.raises(UpstreamFailure) as failed:
        read(heard("openai"), body)
    assert failed.value.kind is kind


def test_a_stream_without_its_end_is_no_transcript() -> None:
    with pytest.raises(UpstreamFailure) as failed:
        read(heard("openai"), events({"type": "transcript.text.delta", "delta": "Hi"}), SSE)
    assert failed.value.kind is FailureKind.BROKEN


TRANSCRIPT = json.dumps(
    {
        "text": "Hi",
        "duration": 1e300,
        "usage": {"seconds": -1},
        "words": [{"text": "Hi", "start": 1}],
        "segments": [{"text": "Hi", "start": 0, "end": 1e308, "speaker": 1}],
    }
).encode()


@unhurried
@given(body=st.one_of(spoiled(TRANSCRIPT), st.binary()), provider=st.sampled_from(LISTENERS))
def test_any_bytes_are_a_transcript_or_a_failure(body: bytes, provider: str) -> None:
    for content_type in ("application/json", SSE):
        with suppress(UpstreamFailure):
            read(heard(provider, timestamps=SEGMENT, diarize=True), body, content_type)
