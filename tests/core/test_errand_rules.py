"""What lies between the fields of work other than chat is checked before anybody is asked."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fixtures.recording import recording
from trunkline.v1 import audio_pb2, content_pb2, embeddings_pb2, images_pb2, moderation_pb2, video_pb2
from trunkline_server.core.address import EgressPolicy
from trunkline_server.core.errand_rules import CHARS_MAX, check
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.providers.sandbox.png import png

PICTURE = content_pb2.Blob(data=png("a fox", 8, 8), media_type="image/png")
SOUND = content_pb2.Blob(data=recording("one"), media_type="audio/wav")
Embed, Rerank, Image = embeddings_pb2.EmbedInput, embeddings_pb2.RerankInput, images_pb2.ImageInput
Speech, Listen = audio_pb2.SpeechInput, audio_pb2.TranscriptionInput
Judge, Film = moderation_pb2.ModerationInput, video_pb2.VideoInput


@pytest.mark.parametrize(
    "input",
    [
        Embed(texts=["a"]),
        Rerank(query="a", documents=["b"]),
        Image(prompt="a fox", size="16x16"),
        Image(images=[PICTURE], edit=images_pb2.IMAGE_EDIT_UPSCALE),
        Image(images=[PICTURE], mask=PICTURE, strength=0.5, prompt="blue"),
        Speech(text="hello"),
        Listen(audio=SOUND),
        Listen(audio=content_pb2.Blob(data=b"\x1aE\xdf\xa3", media_type="video/webm")),
        Judge(texts=["a"]),
        Judge(images=[PICTURE]),
        Film(prompt="a fox"),
        Film(image=PICTURE),
    ],
)
def test_good_work(input: Any) -> None:
    check(input, EgressPolicy())


@pytest.mark.parametrize(
    ("input", "field"),
    [
        (Embed(texts=["a", "\t"]), "input.texts[1]"),
        (Embed(texts=["a" * (CHARS_MAX // 2 + 1)] * 2), "input.texts"),
        (Rerank(query=" ", documents=["b"]), "input.query"),
        (Rerank(query="a", documents=["b", ""]), "input.documents[1]"),
        (Image(), "input.prompt"),
        (Image(prompt="  "), "input.prompt"),
        (Image(images=[PICTURE]), "input.prompt"),
        (Image(prompt="a", mask=PICTURE), "input.mask"),
        (Image(prompt="a", strength=0), "input.strength"),
        (Image(prompt="a", edit=images_pb2.IMAGE_EDIT_PROMPT), "input.edit"),
        (Image(prompt="a", size="16x16", aspect_ratio="1:1"), "input.aspect_ratio"),
        (Image(prompt="a", style="\0"), "input.style"),
        (Speech(text="\n"), "input.text"),
        (Speech(text="a", instructions="\0"), "input.instructions"),
        (Listen(audio=content_pb2.Blob(data=b"x", media_type="image/png")), "input.audio.data"),
        (Listen(audio=content_pb2.Blob(data=b"x", media_type="text/plain")), "input.audio.media_type"),
        (Listen(audio=content_pb2.Blob(data=b"x")), "input.audio.media_type"),
        (Judge(), "input.texts"),
        (Judge(texts=[""]), "input.texts[0]"),
        (Judge(images=[content_pb2.Blob()]), "input.images[0]"),
        (Film(), "input.prompt"),
        (Film(image=content_pb2.Blob(data=b"x")), "input.image.data"),
    ],
)
def test_bad_work_is_told_by_its_field(input: Any, field: str) -> None:
    with pytest.raises(TrunklineError) as caught:
        check(input, EgressPolicy())
    assert caught.value.violations[0].field == field
    assert caught.value.reason in (Reason.VALIDATION, Reason.MEDIA_INVALID)
