"""Speech: what goes out to each provider, and what is made of the sound that comes. All bodies are our own."""

from __future__ import annotations

import base64
import json
import struct
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.audio import (
    SPEAKERS,
    SSE,
    craft,
    dropped,
    events,
    listen,
    said,
    spoiled,
    spoken,
    unhurried,
)
from tests.wire.recorded import pieces
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.operation import Operation
from trunkline_server.wire.audio.wav import wav_head

SAMPLES = b"\x01\x02" * 50


def chunk(
    data: bytes = b"", finish: str | None = None, mime: str = "audio/L16;codec=pcm;rate=24000"
) -> dict[str, object]:
    parts = [{"inlineData": {"mimeType": mime, "data": base64.b64encode(data).decode()}}] if data else []
    usage = {"promptTokenCount": 4, "candidatesTokenCount": 9}
    return {"candidates": [{"content": {"parts": parts}, "finishReason": finish}], "usageMetadata": usage}


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


TALK = events(chunk(SAMPLES), chunk(b"", "STOP"))
SPEECH = events(
    {"type": "speech.audio.delta", "audio": "YWJj"}, {"type": "speech.audio.done", "usage": {"input_tokens": 1}}
)


@unhurried
@given(body=st.one_of(spoiled(TALK), spoiled(SPEECH), st.binary()), provider=st.sampled_from(SPEAKERS))
def test_any_bytes_are_speech_or_a_failure(body: bytes, provider: str) -> None:
    for content_type in ("application/json", SSE, "audio/mpeg"):
        with suppress(UpstreamFailure):
            listen(spoken(provider), [body], content_type)
