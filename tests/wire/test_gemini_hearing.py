"""Gemini's transcripts: a model that hears is asked for the words; what it says, uses and refuses."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.wire.audio import RECORDING, craft, heard
from trunkline.v1 import audio_pb2, content_pb2
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.operation import Operation

MODEL = "gemini-2.5-flash"


def asked(operation: Operation = Operation.TRANSCRIPTION, **said: Any) -> tuple[dict[str, Any], str]:
    """The body and the wish in it."""
    errand = heard("gemini", MODEL, {"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}}, **said)
    request = craft("gemini", operation).encode(errand)
    assert request.path == f"/v1beta/models/{MODEL}:generateContent"
    body = json.loads(request.body)
    return body, body["contents"][0]["parts"][1]["text"]


def told(body: object) -> Any:
    return craft("gemini", Operation.TRANSCRIPTION).decode(heard("gemini"), {}, json.dumps(body).encode())


def candidate(*parts: dict[str, object], finish: str = "STOP", **more: object) -> dict[str, object]:
    return {"candidates": [{"content": {"parts": list(parts)}, "finishReason": finish}], **more}


def test_the_recording_goes_with_a_wish() -> None:
    body, wish = asked(language="de-AT", prompt="Grüß Gott, Salzburg", temperature=0.25)
    assert body["contents"][0]["parts"][0]["inlineData"] == {
        "mimeType": RECORDING.media_type,
        "data": base64.b64encode(RECORDING.data).decode(),
    }
    assert body["generationConfig"] == {
        "temperature": 0.25,
        "candidateCount": 1,
        "thinkingConfig": {"thinkingBudget": 0},
    }
    assert "word for word" in wish
    assert "de-AT" in wish
    assert wish.endswith("Grüß Gott, Salzburg")
    assert "English" not in wish
    assert "in English" in asked(Operation.AUDIO_TRANSLATION)[1]


def test_the_kind_of_file_may_be_said_beside_it() -> None:
    body, _ = asked(audio=content_pb2.Blob(data=b"abc"), media_type="audio/ogg")
    assert body["contents"][0]["parts"][0]["inlineData"]["mimeType"] == "audio/ogg"
    with pytest.raises(TrunklineError) as refused:
        asked(audio=content_pb2.Blob(data=b"abc"))
    assert refused.value.reason is Reason.MEDIA_INVALID


def test_files_of_its_own_are_named_and_addresses_refused() -> None:
    body, _ = asked(audio=content_pb2.Blob(file_id="files/abc", media_type="audio/wav"))
    address = "https://generativelanguage.googleapis.com/v1beta/files/abc"
    assert body["contents"][0]["parts"][0]["fileData"] == {"fileUri": address, "mimeType": "audio/wav"}
    with pytest.raises(TrunklineError) as refused:
        asked(audio=content_pb2.Blob(uri="https://example.com/a.wav"))
    assert refused.value.reason is Reason.CAPABILITY_UNSUPPORTED


def test_what_would_be_guessed_is_not_asked_for() -> None:
    errand = heard("gemini", MODEL, timestamps=audio_pb2.TIMESTAMP_GRANULARITY_WORD, diarize=True)
    craft("gemini", Operation.TRANSCRIPTION).encode(errand)
    assert [each.field for each in errand.warnings] == ["input.timestamps", "input.diarize"]


def test_words_and_use() -> None:
    usage = {
        "promptTokenCount": 120,
        "cachedContentTokenCount": 30,
        "candidatesTokenCount": 7,
        "thoughtsTokenCount": 2,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 20}, {"modality": "AUDIO", "tokenCount": 100}],
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 30}],
    }
    parts: list[dict[str, object]] = [{"text": "Hm.", "thought": True}, {"text": " Guten "}, {"text": "Tag.\n"}]
    product = told(candidate(*parts, usageMetadata=usage, modelVersion="gemini-2.5-flash-001", responseId="r1"))
    assert product.body.transcript.text == "Guten Tag."
    assert (product.model, product.response_id) == ("gemini-2.5-flash-001", "r1")
    assert (product.usage.input_tokens, product.usage.output_tokens) == (120, 9)
    assert dict(product.usage.unit_counts) == {"input_audio": 70, "cached_audio": 30}


def test_silence_has_no_words() -> None:
    assert told(candidate()).body.transcript.text == ""
    assert told(candidate()).usage is None


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (candidate({"text": "Gut"}, finish="MAX_TOKENS"), FailureKind.BROKEN),
        (candidate(finish="SAFETY"), FailureKind.FILTERED),
        ({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}, FailureKind.FILTERED),
        ({"error": {"code": 503, "status": "UNAVAILABLE", "message": "secret"}}, FailureKind.TRANSIENT),
        ({}, FailureKind.BROKEN),
        ([], FailureKind.BROKEN),
    ],
)
def test_no_transcript(body: object, kind: FailureKind) -> None:
    with pytest.raises(UpstreamFailure) as failed:
        told(body)
    assert failed.value.kind is kind
    assert "secret" not in str(failed.value)
