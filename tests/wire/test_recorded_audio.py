"""Speech and transcripts that others recorded, read as they came and cut anywhere."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.wire.audio import heard, listen, read, said, spoken
from tests.wire.recorded import Exchange, cut, exchanges
from trunkline.v1 import audio_pb2
from trunkline_server.core.operation import Operation

WORD = audio_pb2.TIMESTAMP_GRANULARITY_WORD
SEGMENT = audio_pb2.TIMESTAMP_GRANULARITY_SEGMENT


NAMES = {"text": "input", "voice": "voice", "speed": "speed", "instructions": "instructions"}


def good(*prefixes: str) -> list[Any]:
    return [each for prefix in prefixes for each in exchanges(prefix, lambda exchange: exchange.good)]


speech = pytest.mark.parametrize(
    "exchange", good("openai__audio-speech__", "mistral__audio-speech__", "elevenlabs__text-to-speech__")
)
transcripts = pytest.mark.parametrize(
    "exchange",
    good(
        *("openai__audio-transcriptions__", "groq__audio-transcriptions__", "openrouter__audio-transcriptions__"),
        *("cohere__v2-audio-transcriptions__", "elevenlabs__speech-to-text__", "mistral__audio-transcriptions__"),
    ),
)
spoken_words = pytest.mark.parametrize("exchange", good("elevenlabs__speech-to-text__"))


def provider(exchange: Exchange) -> str:
    return exchange.name.partition("__")[0]


@speech
@pytest.mark.parametrize("seed", range(4))
def test_speech(exchange: Exchange, seed: int) -> None:
    sound, heard_bytes = listen(spoken(provider(exchange)), cut(exchange.body, seed), exchange.content_type)

    wanted = exchange.body
    if exchange.content_type.startswith("application/json"):
        wanted = base64.b64decode(exchange.answer()["audio_data"])
    assert heard_bytes == wanted
    assert (sound.media_type, sound.finished, sound.byte_count) == ("audio/mpeg", True, len(wanted))


@speech
def test_requests_for_speech(exchange: Exchange) -> None:
    if not exchange.request:
        pytest.skip("its request was not recorded")
    sent = exchange.question()
    asked = {ours: sent[theirs] for ours, theirs in NAMES.items() if theirs in sent}
    errand = spoken(provider(exchange), sent["model"], **asked)
    spelled = json.loads(said(errand).body)
    assert {**spelled, "response_format": sent.get("response_format")} == {"response_format": None, **sent}
    assert errand.warnings == []


@transcripts
def test_transcripts(exchange: Exchange) -> None:
    product = read(heard(provider(exchange)), exchange.body, exchange.content_type)

    told = list(exchange.events())[-1] if exchange.streamed else exchange.answer()
    assert product.body.transcript.text == told["text"]
    usage = told.get("usage") or {}
    if "input_tokens" in usage:
        assert product.usage
        assert product.usage.input_tokens == usage["input_tokens"]
        assert product.usage.output_tokens == usage["output_tokens"]
        audio = usage.get("input_token_details", {}).get("audio_tokens", 0)
        assert product.usage.unit_counts["input_audio"] == audio
    elif "seconds" in usage:
        assert product.usage
        assert dict(product.usage.unit_counts) == {"audio_ms": round(usage["seconds"] * 1000)}
    elif not any(key in told for key in ("duration", "audio_duration_secs")):
        assert product.usage is None


@spoken_words
def test_words_and_speakers(exchange: Exchange) -> None:
    told = exchange.answer()
    words = read(heard("elevenlabs", timestamps=WORD), exchange.body).body.transcript
    segments = read(heard("elevenlabs", diarize=True), exchange.body).body.transcript

    named = [word for word in told["words"] if word["type"] == "word"]
    assert [(word.text, word.speaker) for word in words.words] == [
        (word["text"], word.get("speaker_id") or "") for word in named
    ]
    assert [word.start_offset.ToMilliseconds() for word in words.words] == [round(w["start"] * 1000) for w in named]
    assert "".join("".join(each.text for each in segments.segments).split()) == "".join(told["text"].split())
    speakers = {word["speaker_id"] for word in named if "speaker_id" in word}
    assert {each.speaker for each in segments.segments} - {""} == speakers
    assert not words.segments
    assert not segments.words


@pytest.mark.parametrize("exchange", good("openai__audio-translations__"))
def test_translations(exchange: Exchange) -> None:
    product = read(heard("openai"), exchange.body, exchange.content_type, Operation.AUDIO_TRANSLATION)
    assert product.body.transcript.text == exchange.answer()["text"]
