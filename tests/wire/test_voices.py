"""Voices, who has which, and what providers of sound say is wrong."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.audio import (
    SPEAKERS,
    WORD,
    craft,
    heard,
    unhurried,
)
from trunkline.v1 import audio_pb2
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.offered import Offered
from trunkline_server.core.operation import Operation
from trunkline_server.providers.builtin import declaration
from trunkline_server.providers.own import DIALECTS
from trunkline_server.wire.audio.voices import VoiceList


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
