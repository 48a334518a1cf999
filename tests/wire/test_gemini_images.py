"""Gemini's pictures, by models that talk and by Imagen."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.wire.pictures import OTHER, PNG, blob, dropped, picture, told
from trunkline.v1 import images_pb2
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.wire.gemini.images import GeminiImageEdits, GeminiImages

MAKE, EDIT = GeminiImages(), GeminiImageEdits()
TEXT = base64.b64encode(PNG).decode()


def drawn(*parts: dict[str, Any], finish: str = "STOP", **fields: Any) -> bytes:
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": finish, "index": 0}
    return json.dumps({"candidates": [candidate], **fields}).encode()


def image(data: str = TEXT, **fields: Any) -> dict[str, Any]:
    return {"inlineData": {"mimeType": "image/png", "data": data}, **fields}


def test_what_is_asked() -> None:
    errand = picture("gemini-2.5-flash-image", size="1920x1080", seed=5, style="anime", negative_prompt="dogs")
    request = MAKE.encode(errand)
    assert request.path == "/v1beta/models/gemini-2.5-flash-image:generateContent"
    assert told(request) == {
        "contents": [{"role": "user", "parts": [{"text": "a cat"}]}],
        "generationConfig": {"responseModalities": ["IMAGE"], "imageConfig": {"aspectRatio": "16:9"}, "seed": 5},
    }
    assert dropped(errand) == ["negative_prompt", "style"]
    assert not MAKE.is_idempotent


@pytest.mark.parametrize(("size", "named"), [("1024x1024", "1K"), ("2048x2048", "2K"), ("4096x4096", "4K")])
def test_newer_models_have_sizes(size: str, named: str) -> None:
    config = told(MAKE.encode(picture("gemini-3-pro-image-preview", size=size)))["generationConfig"]
    assert config["imageConfig"] == {"aspectRatio": "1:1", "imageSize": named}


def test_options_come_last() -> None:
    options: dict[str, object] = {"generationConfig": {"temperature": 0.5}}
    config = told(MAKE.encode(picture("gemini-2.5-flash-image", options)))["generationConfig"]
    assert config == {"responseModalities": ["IMAGE"], "temperature": 0.5}


def test_pictures_are_changed_by_words() -> None:
    errand = picture("gemini-2.5-flash-image", images=[blob(), blob(OTHER)], mask=blob())
    (content,) = told(EDIT.encode(errand))["contents"]
    assert content["parts"] == [{"text": "a cat"}, image(), image(base64.b64encode(OTHER).decode())]
    assert dropped(errand) == ["mask"]


@pytest.mark.parametrize(
    ("model", "edit", "field"),
    [
        ("imagen-4.0-generate-001", images_pb2.IMAGE_EDIT_PROMPT, "model"),
        ("gemini-2.5-flash-image", images_pb2.IMAGE_EDIT_VARIATION, "edit"),
        ("gemini-2.5-flash-image", images_pb2.IMAGE_EDIT_UPSCALE, "edit"),
    ],
)
def test_what_can_never_be_done(model: str, edit: images_pb2.ImageEdit.ValueType, field: str) -> None:
    with pytest.raises(TrunklineError) as refused:
        EDIT.encode(picture(model, images=[blob()], edit=edit))
    assert refused.value.reason is Reason.CAPABILITY_UNSUPPORTED
    assert refused.value.violations[0].field == f"input.{field}"


def test_what_is_drawn_and_used() -> None:
    usage = {
        "promptTokenCount": 270,
        "candidatesTokenCount": 1300,
        "thoughtsTokenCount": 20,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 12}, {"modality": "IMAGE", "tokenCount": 258}],
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
    }
    body = drawn({"text": "Here it is"}, image("x" * 4, thought=True), image(), usageMetadata=usage)
    product = MAKE.decode(picture("g"), {}, body)
    assert [each.blob for each in product.body.images] == [blob()]
    assert product.usage is not None
    assert (product.usage.input_tokens, product.usage.output_tokens) == (270, 1320)
    assert dict(product.usage.unit_counts) == {"input_image": 258, "output_image": 1290}


def test_tokens_are_pictures_where_their_kind_is_not_told() -> None:
    usage = {"promptTokenCount": 12, "candidatesTokenCount": 1290}
    product = EDIT.decode(picture("g"), {}, drawn(image(), usageMetadata=usage))
    assert product.usage is not None
    assert dict(product.usage.unit_counts) == {"output_image": 1290}


def test_what_was_withheld_is_still_billed() -> None:
    body = drawn(finish="IMAGE_SAFETY", usageMetadata={"promptTokenCount": 12})
    product = MAKE.decode(picture("g"), {}, body)
    assert product.filtered
    assert product.body.images[0].filtered
    assert product.usage is not None


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}', FailureKind.FILTERED),
        (b'{"error": {"code": 503, "status": "UNAVAILABLE", "message": "overloaded"}}', FailureKind.THROTTLED),
        (b"{}", FailureKind.BROKEN),
        (b"[]", FailureKind.BROKEN),
    ],
)
def test_answers_that_are_none(body: bytes, kind: FailureKind) -> None:
    with pytest.raises(UpstreamFailure) as failed:
        MAKE.decode(picture("g"), {}, body)
    assert failed.value.kind is kind


def test_what_imagen_is_asked() -> None:
    errand = picture("imagen-4.0-generate-001", image_count=3, aspect_ratio="4:3", media_type="image/jpeg", seed=1)
    request = MAKE.encode(errand)
    assert request.path == "/v1beta/models/imagen-4.0-generate-001:predict"
    assert told(request) == {
        "instances": [{"prompt": "a cat"}],
        "parameters": {"sampleCount": 3, "aspectRatio": "4:3", "outputOptions": {"mimeType": "image/jpeg"}},
    }
    assert dropped(errand) == ["seed"]
    assert [piece.input.image_count for piece in MAKE.split(picture("imagen-4.0-generate-001", image_count=6))] == [
        4,
        2,
    ]
    assert len(MAKE.split(picture("gemini-2.5-flash-image", image_count=2))) == 2


def test_what_imagen_draws() -> None:
    predictions = [{"mimeType": "image/png", "bytesBase64Encoded": TEXT}, {"raiFilteredReason": "no"}]
    errand = picture("imagen-4.0-generate-001", image_count=3)
    product = MAKE.decode(errand, {}, json.dumps({"predictions": predictions}).encode())
    assert [each.filtered for each in product.body.images] == [False, True, True]
    assert product.usage is not None
    assert dict(product.usage.unit_counts) == {"images": 1}


@pytest.mark.parametrize("body", [b"{}", b'{"predictions": [{"raiFilteredReason": "no"}]}'])
def test_imagen_bills_nothing_where_it_withholds_everything(body: bytes) -> None:
    with pytest.raises(UpstreamFailure) as failed:
        MAKE.decode(picture("imagen-4.0-generate-001"), {}, body)
    assert failed.value.kind is FailureKind.FILTERED
