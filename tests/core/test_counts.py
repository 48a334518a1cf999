"""What work uses is counted from what is asked for, and never above what is held for it."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from tests.fixtures.recording import WORD_MS, recording
from trunkline.v1 import audio_pb2, content_pb2, embeddings_pb2, images_pb2, moderation_pb2, usage_pb2, video_pb2
from trunkline_server.core.counts import COUNTS
from trunkline_server.core.operation import Operation
from trunkline_server.core.pricing import PART_OF

SOUND = content_pb2.Blob(data=recording("one two"), media_type="audio/wav")
INPUTS: dict[Operation, Any] = {
    Operation.EMBED: embeddings_pb2.EmbedInput(texts=["a red fox"] * 3),
    Operation.RERANK: embeddings_pb2.RerankInput(query="fox", documents=["a red fox"] * 101),
    Operation.IMAGE: images_pb2.ImageInput(prompt="a fox", image_count=3),
    Operation.IMAGE_EDIT: images_pb2.ImageInput(prompt="a fox", images=[content_pb2.Blob()]),
    Operation.SPEECH: audio_pb2.SpeechInput(text="hello there"),
    Operation.TRANSCRIPTION: audio_pb2.TranscriptionInput(audio=SOUND),
    Operation.AUDIO_TRANSLATION: audio_pb2.TranscriptionInput(audio=content_pb2.Blob(data=bytes(160_000))),
    Operation.MODERATION: moderation_pb2.ModerationInput(texts=["hello"], images=[content_pb2.Blob()]),
    Operation.VIDEO: video_pb2.VideoInput(prompt="a fox", video_count=2),
}


def test_all_work_is_counted() -> None:
    assert set(COUNTS) == set(INPUTS) == set(Operation) - {Operation.CHAT}


@pytest.mark.parametrize("operation", INPUTS)
def test_what_is_held_covers_what_is_usual(operation: Operation) -> None:
    usual, most = COUNTS[operation].usual(INPUTS[operation]), COUNTS[operation].most(INPUTS[operation])
    assert usual.source == usage_pb2.USAGE_SOURCE_ESTIMATED
    assert 0 < usual.input_tokens <= most.input_tokens
    assert usual.output_tokens <= most.output_tokens
    assert all(0 < count <= most.unit_counts[unit] for unit, count in usual.unit_counts.items())


@pytest.mark.parametrize("operation", INPUTS)
def test_what_pays_is_counted(operation: Operation) -> None:
    """Else a price in that unit would make the call free."""
    used = COUNTS[operation].usual(INPUTS[operation])
    counted = set(used.unit_counts) | {"input"} | ({"output"} if used.output_tokens else set())
    paying = {PART_OF.get(unit, unit) for unit in COUNTS[operation].paying}
    assert paying - {"output"} <= counted | {"videos"}


@pytest.mark.parametrize(
    ("operation", "unit", "count"),
    [
        (Operation.RERANK, "searches", 2),
        (Operation.IMAGE, "images", 3),
        (Operation.IMAGE_EDIT, "images", 1),
        (Operation.SPEECH, "characters", 11),
        (Operation.TRANSCRIPTION, "audio_ms", 2 * WORD_MS),
        (Operation.AUDIO_TRANSLATION, "audio_ms", 10_000),
        (Operation.VIDEO, "videos", 2),
        (Operation.VIDEO, "video_ms", 16_000),
    ],
)
def test_units(operation: Operation, unit: str, count: int) -> None:
    assert COUNTS[operation].usual(INPUTS[operation]).unit_counts[unit] == count


def test_the_length_of_a_film_is_what_was_said() -> None:
    input = video_pb2.VideoInput(prompt="a fox", duration=Duration(seconds=4, nanos=500_000_000))
    assert COUNTS[Operation.VIDEO].most(input).unit_counts["video_ms"] == 4500
