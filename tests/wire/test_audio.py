"""Sound, both ways: what goes out to each provider, and what is made of the answers. All bodies are our own."""

from __future__ import annotations

import base64
import json
import struct
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.wire.audio import craft, heard, listen, read, said, sent, spoken
from tests.wire.recorded import pieces
from trunkline.v1 import audio_pb2, content_pb2
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.offered import Offered
from trunkline_server.core.operation import Operation
from trunkline_server.core.product import Sound
from trunkline_server.providers.builtin import declaration, declarations
from trunkline_server.providers.own import DIALECTS
from trunkline_server.wire.audio.voices import VoiceList
from trunkline_server.wire.audio.wav import wav_head

WORD = audio_pb2.TIMESTAMP_GRANULARITY_WORD
SEGMENT = audio_pb2.TIMESTAMP_GRANULARITY_SEGMENT
SPEAKERS = [each.name for each in declarations() if Operation.SPEECH in each.crafts]
LISTENERS = [each.name for each in declarations() if Operation.TRANSCRIPTION in each.crafts]
SAMPLES = b"\x01\x02" * 50
SSE = "text/event-stream"
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def dropped(errand: Any) -> list[str]:
    return [warning.field.removeprefix("input.") for warning in errand.warnings]


def events(*told: object) -> bytes:
    return b"".join(
        b"data: " + (each if isinstance(each, bytes) else json.dumps(each).encode()) + b"\r\n\r\n" for each in told
    )


def chunk(
    data: bytes = b"", finish: str | None = None, mime: str = "audio/L16;codec=pcm;rate=24000"
) -> dict[str, object]:
    parts = [{"inlineData": {"mimeType": mime, "data": base64.b64encode(data).decode()}}] if data else []
    usage = {"promptTokenCount": 4, "candidatesTokenCount": 9}
    return {"candidates": [{"content": {"parts": parts}, "finishReason": finish}], "usageMetadata": usage}


# Speech that goes out.


@pytest.mark.parametrize(
    ("provider", "path", "body"),
    [
        ("openai", "/audio/speech", {"model": "m", "input": "Hi", "voice": "alloy"}),
        ("groq", "/audio/speech", {"model": "m", "input": "Hi", "voice": "hannah", "response_format": "wav"}),
        ("mistral", "/audio/speech", {"model": "m", "input": "Hi", "voice": "en_paul_neutral"}),
        ("openrouter", "/audio/speech", {"model": "m", "input": "Hi", "voice": "alloy", "response_format": "mp3"}),
        ("xai", "/tts", {"text": "Hi", "voice_id": "eve", "language": "auto"}),
        ("huggingface", "/hf-inference/models/m", {"inputs": "Hi"}),
        (
            "elevenlabs",
            "/text-to-speech/JBFqnCBsd6RMkjVDRZzb/stream?output_format=mp3_44100_128",
            {"text": "Hi", "model_id": "m"},
        ),
    ],
)
def test_words_alone(provider: str, path: str, body: object) -> None:
    errand = spoken(provider)
    request = said(errand)
    assert (request.method, request.path, json.loads(request.body)) == ("POST", path, body)
    assert errand.warnings == []


def test_all_that_can_be_said_of_speech() -> None:
    wish: dict[str, Any] = {"voice": "coral", "media_type": "audio/wav", "speed": 1.5}
    wish |= {"instructions": "calm", "language": "de-AT"}
    openai = spoken("openai", "gpt-4o-mini-tts", **wish)
    assert json.loads(said(openai).body) == {
        "model": "gpt-4o-mini-tts",
        "input": "Hi",
        "voice": "coral",
        "response_format": "wav",
        "speed": 1.5,
        "instructions": "calm",
        "stream_format": "sse",
    }
    assert openai.warnings == []
    eleven = spoken("elevenlabs", **wish)
    request = said(eleven)
    assert request.path == "/text-to-speech/coral/stream?output_format=pcm_24000"
    assert json.loads(request.body) == {
        "text": "Hi",
        "model_id": "m",
        "language_code": "de",
        "voice_settings": {"speed": 1.2},
    }
    assert dropped(eleven) == ["speed", "instructions"]


def test_gemini_is_asked_for_sound() -> None:
    errand = spoken("gemini", "gemini-2.5-flash-preview-tts", instructions="Say it calmly.", language="de-AT", speed=2)
    request = said(errand)
    assert request.path == "/v1beta/models/gemini-2.5-flash-preview-tts:streamGenerateContent?alt=sse"
    body = json.loads(request.body)
    assert body["contents"][0]["parts"][0]["text"].startswith("Say it calmly.\n")
    assert body["contents"][0]["parts"][0]["text"].endswith("\nHi")
    assert body["generationConfig"] == {
        "responseModalities": ["AUDIO"],
        "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}, "languageCode": "de-AT"},
    }
    assert dropped(errand) == ["speed"]


@pytest.mark.parametrize(
    ("provider", "asked", "field"),
    [
        ("openai", "audio/midi", "media_type"),
        ("groq", "audio/mpeg", "media_type"),
        ("mistral", "audio/L16", "media_type"),
        ("gemini", "audio/mpeg", "media_type"),
        ("elevenlabs", "audio/flac", "media_type"),
    ],
)
def test_what_is_not_made_is_made_as_something_else(provider: str, asked: str, field: str) -> None:
    errand = spoken(provider, media_type=asked)
    said(errand)
    assert dropped(errand) == [field]
    with pytest.raises(TrunklineError) as refused:
        said(spoken(provider, media_type=asked, strict_parameters=True))
    assert refused.value.reason is Reason.PARAMETER_UNSUPPORTED


def test_only_models_that_listen_are_told_how_to_speak() -> None:
    errand = spoken("openai", "tts-1", instructions="calm")
    body = json.loads(said(errand).body)
    assert "instructions" not in body
    assert "stream_format" not in body
    assert dropped(errand) == ["instructions"]


@pytest.mark.parametrize("provider", SPEAKERS)
def test_further_fields_never_replace_what_is_paid_for(provider: str) -> None:
    options = {"text": "much", "input": "much", "inputs": "much", "model": "dear", "model_id": "dear", "seed": 7}
    body = json.loads(said(spoken(provider, options=options)).body)
    mine = craft(provider, Operation.SPEECH)
    assert body.get(getattr(mine, "text_field", "text"), "Hi") in ("Hi", "much" if provider == "gemini" else "Hi")
    assert body["seed"] == 7
    if model_field := getattr(mine, "model_field", "model_id"):
        assert body[model_field] == ("m" if provider != "gemini" else "dear")


@pytest.mark.parametrize("voice", ["../voices", "a/b", "a?b", "a b"])
def test_a_voice_in_a_path_stays_there(voice: str) -> None:
    with pytest.raises(TrunklineError):
        said(spoken("elevenlabs", voice=voice))


@pytest.mark.parametrize("model", ["a/../../v1", "..", "a?b", "a/b/c"])
@pytest.mark.parametrize("provider", ["huggingface", "gemini"])
def test_a_model_in_a_path_stays_there(provider: str, model: str) -> None:
    with pytest.raises(TrunklineError):
        said(spoken(provider, model))


# Speech that comes in.


@pytest.mark.parametrize(
    ("asked", "content_type", "made"),
    [
        ("", "audio/mpeg", "audio/mpeg"),
        ("audio/mpeg", "application/octet-stream", "audio/mpeg"),
        ("audio/ogg", "audio/opus", "audio/ogg"),
        ("audio/wav", "audio/x-wav; charset=x", "audio/wav"),
        ("audio/wav", "audio/mpeg", "audio/mpeg"),
        ("audio/L16", "audio/pcm", "audio/L16;rate=24000"),
    ],
)
def test_it_says_what_really_comes(asked: str, content_type: str, made: str) -> None:
    sound, whole = listen(spoken("openai", media_type=asked), [b"ab", b"", b"c"], content_type)
    assert (sound.media_type, whole, sound.finished, sound.usage) == (made, b"abc", True, None)


def test_events_tell_the_usage() -> None:
    delta = {"type": "speech.audio.delta", "audio": base64.b64encode(b"abc").decode()}
    done = {"type": "speech.audio.done", "usage": {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115}}
    body = events(delta, {"type": "speech.news"}, delta, done, b"[DONE]")
    for cuts in ([], [1, 40, 41], range(len(body))):
        sound, whole = listen(spoken("openai", "gpt-4o-mini-tts", media_type="audio/wav"), pieces(body, cuts), SSE)
        assert (whole, sound.finished, sound.media_type) == (b"abcabc", True, "audio/wav")
        assert sound.usage
        assert (sound.usage.input_tokens, sound.usage.output_tokens) == (14, 101)


@pytest.mark.parametrize(
    ("provider", "body", "kind"),
    [
        ("openai", b"", FailureKind.BROKEN),
        ("openai", events({"type": "speech.audio.done"}), FailureKind.BROKEN),
        ("openai", events({"type": "speech.audio.delta", "audio": "YWJj"}), FailureKind.INTERRUPTED),
        ("openai", events({"type": "error", "error": {"message": "x", "type": "server_error"}}), FailureKind.TRANSIENT),
        ("openai", events({"type": "speech.audio.delta", "audio": "%%%"}), FailureKind.BROKEN),
        ("gemini", b"", FailureKind.BROKEN),
        ("gemini", events(chunk(SAMPLES)), FailureKind.INTERRUPTED),
        ("gemini", events(chunk(b"", "OTHER")), FailureKind.BROKEN),
        ("gemini", events(chunk(b"", "SAFETY")), FailureKind.FILTERED),
        ("gemini", events({"promptFeedback": {"blockReason": "SAFETY"}}), FailureKind.FILTERED),
        ("gemini", events({"error": {"code": 503, "status": "UNAVAILABLE"}}), FailureKind.TRANSIENT),
    ],
)
def test_events_that_are_no_speech(provider: str, body: bytes, kind: FailureKind) -> None:
    with pytest.raises(UpstreamFailure) as failed:
        listen(spoken(provider), [body], SSE)
    assert failed.value.kind is kind


@pytest.mark.parametrize("content_type", ["text/html", "", "image/png"])
@pytest.mark.parametrize("provider", SPEAKERS)
def test_a_page_is_no_speech(provider: str, content_type: str) -> None:
    with pytest.raises(UpstreamFailure) as failed:
        listen(spoken(provider), [b"<html>"], content_type)
    assert failed.value.kind is FailureKind.BROKEN


@pytest.mark.parametrize("body", [b"", b"{}", b'{"audio_data": ""}', b'{"error": "x"}', b'{"audio_data": "YWJj'])
def test_json_without_sound_is_no_speech(body: bytes) -> None:
    with pytest.raises(UpstreamFailure) as failed:
        listen(spoken("mistral"), [body], "application/json")
    assert failed.value.kind is FailureKind.BROKEN


@pytest.mark.parametrize(
    ("asked", "media_type", "head"),
    [("", "audio/L16;rate=16000", b""), ("audio/wav", "audio/wav", wav_head(16_000))],
)
def test_gemini_speaks_in_samples(asked: str, media_type: str, head: bytes) -> None:
    mime = "audio/L16;codec=pcm;rate=16000"
    body = events(chunk(SAMPLES, mime=mime), chunk(SAMPLES, mime=mime), chunk(b"", "STOP"))
    sound, whole = listen(spoken("gemini", media_type=asked), pieces(body, [7, 90]), f"{SSE}; charset=utf-8")
    assert (sound.media_type, whole) == (media_type, head + SAMPLES * 2)
    assert sound.usage
    assert (sound.usage.input_tokens, sound.usage.output_tokens) == (4, 9)


def test_elevenlabs_puts_samples_into_a_file() -> None:
    sound, whole = listen(spoken("elevenlabs", media_type="audio/wav"), [SAMPLES, SAMPLES], "audio/pcm")
    assert (sound.media_type, whole) == ("audio/wav", wav_head(24_000) + SAMPLES * 2)


def test_the_head_of_a_file() -> None:
    head = wav_head(24_000, 100)
    assert len(head) == 44
    assert struct.unpack("<4sI4s4sIHHIIHH4sI", head) == (
        *(b"RIFF", 136, b"WAVE", b"fmt ", 16, 1, 1, 24_000, 48_000, 2, 16),
        *(b"data", 100),
    )


# Recordings that go out.


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


# Transcripts that come in.


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
TALK = events(chunk(SAMPLES), chunk(b"", "STOP"))
SPEECH = events(
    {"type": "speech.audio.delta", "audio": "YWJj"}, {"type": "speech.audio.done", "usage": {"input_tokens": 1}}
)


@st.composite
def spoiled(draw: st.DrawFn, body: bytes) -> bytes:
    """The body with a piece cut out, and others put in."""
    start, end = sorted((draw(st.integers(0, len(body))), draw(st.integers(0, len(body)))))
    return body[:start] + draw(st.binary(max_size=8)) + body[end:]


@unhurried
@given(body=st.one_of(spoiled(TRANSCRIPT), st.binary()), provider=st.sampled_from(LISTENERS))
def test_any_bytes_are_a_transcript_or_a_failure(body: bytes, provider: str) -> None:
    for content_type in ("application/json", SSE):
        with suppress(UpstreamFailure):
            read(heard(provider, timestamps=SEGMENT, diarize=True), body, content_type)


@unhurried
@given(body=st.one_of(spoiled(TALK), spoiled(SPEECH), st.binary()), provider=st.sampled_from(SPEAKERS))
def test_any_bytes_are_speech_or_a_failure(body: bytes, provider: str) -> None:
    for content_type in ("application/json", SSE, "audio/mpeg"):
        sound = Sound()
        try:
            listen(spoken(provider), [body], content_type)
        except UpstreamFailure:
            assert not sound.finished


# Voices, and what goes wrong.


def test_voices_under_their_names() -> None:
    told = {
        "voices": [
            {"voice_id": "z", "name": "Zoe", "description": "calm", "preview_url": "https://x/z.mp3"},
            {"voice_id": "a", "verified_languages": [{"language": "en", "locale": "en-US"}, {"language": "de"}]},
            {"name": "nobody"},
        ]
    }
    assert VoiceList().decode(json.dumps(told).encode()) == [
        audio_pb2.Voice(voice="a", display_name="a", languages=["de", "en-US"]),
        audio_pb2.Voice(voice="z", display_name="Zoe", description="calm", preview_uri="https://x/z.mp3"),
    ]
    (paul,) = VoiceList().decode(b'{"items": [{"id": "1", "slug": "en_paul", "name": "Paul", "languages": ["en"]}]}')
    assert (paul.voice, list(paul.languages)) == ("en_paul", ["en"])


@unhurried
@given(st.binary())
def test_any_bytes_are_voices_or_a_failure(body: bytes) -> None:
    with suppress(UpstreamFailure):
        VoiceList().decode(body)


@pytest.mark.parametrize("provider", SPEAKERS)
def test_who_speaks_has_voices_and_the_first_is_one_of_them(provider: str) -> None:
    listed = declaration(provider).voices
    if isinstance(listed, tuple) and listed:
        assert craft(provider, Operation.SPEECH).voice in {voice.voice for voice in listed}


def test_servers_of_the_operator_speak_and_listen() -> None:
    assert {Operation.SPEECH, Operation.TRANSCRIPTION, Operation.AUDIO_TRANSLATION} <= set(DIALECTS["openai"].crafts)
    mine: Any = DIALECTS["openai"].crafts[Operation.TRANSCRIPTION]
    assert b"verbose_json" in mine.encode(heard("openai", "any", timestamps=WORD)).body
    assert b"verbose_json" not in mine.encode(heard("openai", "any")).body


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, {"detail": {"status": "quota_exceeded", "message": "x"}}, FailureKind.QUOTA),
        (401, {"detail": {"status": "invalid_api_key"}}, FailureKind.AUTH),
        (401, {"detail": {"status": "detected_unusual_activity"}}, FailureKind.AUTH),
        (401, b"<html>", FailureKind.AUTH),
        (422, {"detail": [{"loc": ["body", "text"], "msg": "x", "type": "missing"}]}, FailureKind.INVALID),
        (429, {"detail": {"status": "too_many_concurrent_requests"}}, FailureKind.THROTTLED),
        (429, {"detail": {"status": "system_busy"}}, FailureKind.THROTTLED),
        (400, {"detail": {"code": "quota_exceeded", "type": "payment_required"}}, FailureKind.QUOTA),
        (404, {"detail": {"status": "voice_not_found"}}, FailureKind.INVALID),
        (400, {"detail": {"status": "model_not_found"}}, FailureKind.MODEL_UNKNOWN),
        (500, {"detail": "Internal Server Error"}, FailureKind.TRANSIENT),
    ],
)
def test_errors_of_elevenlabs(status: int, body: Any, kind: FailureKind) -> None:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert declaration("elevenlabs").wire.failure(status, {}, text).kind is kind


def test_models_of_elevenlabs() -> None:
    wire = declaration("elevenlabs").wire
    assert wire.encode_models().path == "/models"
    models = [Offered("a", "A"), Offered("b")]
    assert wire.decode_models(b'[{"model_id": "a", "name": "A"}, {"model_id": "b"}]') == models
