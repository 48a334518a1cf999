"""OpenAI's images API, and what others make of it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.wire.pictures import JPEG, OTHER, PNG, blob, dropped, picture, told
from trunkline.v1 import content_pb2, images_pb2
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.providers.builtin import declaration
from trunkline_server.wire.openai_chat.images import ChatImageEdits, ChatImages
from trunkline_server.wire.openai_images import OpenAIImageEdits, OpenAIImages, XAIImageEdits
from trunkline_server.wire.openai_images.quirks import COMPATIBLE_MODELS, XAI_MODELS

GENERATE, EDIT = OpenAIImages(), OpenAIImageEdits()
XAI, XAI_EDIT = OpenAIImages(XAI_MODELS), XAIImageEdits(XAI_MODELS)
OWN = OpenAIImages(COMPATIBLE_MODELS)
TEXT = base64.b64encode(PNG).decode()
EVERYTHING = {
    "image_count": 2,
    "size": "1024x1536",
    "quality": "high",
    "style": "vivid",
    "background": "transparent",
    "media_type": "image/webp",
    "negative_prompt": "dogs",
    "seed": 7,
}


def answer(**fields: Any) -> bytes:
    return json.dumps({"created": 1, **fields}).encode()


@pytest.mark.parametrize(
    ("craft", "model", "body", "warned"),
    [
        (
            GENERATE,
            "gpt-image-1.5",
            {"n": 2, "size": "1024x1536", "quality": "high", "background": "transparent", "output_format": "webp"},
            ["negative_prompt", "style", "seed"],
        ),
        (
            GENERATE,
            "dall-e-3",
            {"n": 2, "size": "1024x1536", "quality": "high", "style": "vivid", "response_format": "b64_json"},
            ["negative_prompt", "background", "media_type", "seed"],
        ),
        (
            GENERATE,
            "dall-e-2",
            {"n": 2, "size": "1024x1536", "response_format": "b64_json"},
            ["negative_prompt", "quality", "style", "background", "media_type", "seed"],
        ),
        (
            XAI,
            "grok-imagine-image",
            {"n": 2, "aspect_ratio": "2:3", "quality": "high", "response_format": "b64_json"},
            ["negative_prompt", "style", "background", "media_type", "seed"],
        ),
        (
            OWN,
            "sdxl",
            {"n": 2, "size": "1024x1536", "quality": "high", "style": "vivid", "background": "transparent"}
            | {"negative_prompt": "dogs", "seed": 7, "response_format": "b64_json"},
            ["media_type"],
        ),
    ],
)
def test_what_each_model_is_told(craft: OpenAIImages, model: str, body: dict[str, Any], warned: list[str]) -> None:
    errand = picture(model, {"moderation": "low"}, **EVERYTHING)
    errand.end_user = "eve"
    request = craft.encode(errand)
    assert (request.method, request.path) == ("POST", "/images/generations")
    assert told(request) == {"model": model, "prompt": "a cat", "user": "eve", "moderation": "low", **body}
    assert dropped(errand) == warned
    assert not craft.is_idempotent


def test_little_is_said_where_little_is_wanted() -> None:
    assert told(GENERATE.encode(picture("gpt-image-2"))) == {"model": "gpt-image-2", "prompt": "a cat"}


def test_an_address_where_there_is_one() -> None:
    assert told(GENERATE.encode(picture("dall-e-3", as_uri=True)))["response_format"] == "url"
    errand = picture("gpt-image-1", as_uri=True)
    assert "response_format" not in told(GENERATE.encode(errand))
    assert dropped(errand) == ["as_uri"]


def test_a_ratio_becomes_a_size() -> None:
    assert told(GENERATE.encode(picture("gpt-image-1", aspect_ratio="3:2")))["size"] == "1536x1024"
    errand = picture("dall-e-3", aspect_ratio="16:9")
    assert told(GENERATE.encode(errand))["size"] == "1792x1024"
    assert dropped(errand) == ["aspect_ratio"]


def test_pictures_and_tokens() -> None:
    usage = {
        "input_tokens": 50,
        "output_tokens": 400,
        "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
        "output_tokens_details": {"text_tokens": 30, "image_tokens": 370},
    }
    body = answer(data=[{"b64_json": TEXT, "revised_prompt": "a tabby"}], usage=usage, output_format="png")
    product = GENERATE.decode(picture("gpt-image-1.5"), {}, body)
    (image,) = product.body.images
    assert (image.blob.data, image.blob.media_type, image.revised_prompt) == (PNG, "image/png", "a tabby")
    assert product.usage is not None
    assert (product.usage.input_tokens, product.usage.output_tokens) == (50, 400)
    assert dict(product.usage.unit_counts) == {"input_image": 40, "output_image": 370}


def test_all_output_is_pictures_where_nothing_else_is_said() -> None:
    body = answer(data=[{"b64_json": TEXT}], usage={"input_tokens": 5, "output_tokens": 7})
    usage = GENERATE.decode(picture("gpt-image-1"), {}, body).usage
    assert usage is not None
    assert dict(usage.unit_counts) == {"output_image": 7}


def test_addresses_are_told_without_usage() -> None:
    data = [{"url": "https://there.example/a.jpeg", "mime_type": "image/jpeg"}]
    product = XAI.decode(picture("g"), {}, answer(data=data, usage={"cost_in_usd_ticks": 200000000}))
    blob = product.body.images[0].blob
    assert (blob.uri, blob.media_type, product.usage) == (data[0]["url"], "image/jpeg", None)


def test_a_picture_that_was_withheld() -> None:
    product = XAI.decode(picture("g"), {}, answer(data=[{"url": "https://a", "respect_moderation": False}]))
    assert product.filtered
    assert not product.body.images[0].HasField("blob")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (answer(data=[]), FailureKind.BROKEN),
        (answer(data=[{}]), FailureKind.BROKEN),
        (answer(data=[{"b64_json": "%%%"}]), FailureKind.BROKEN),
        (answer(error={"code": "moderation_blocked", "message": "no"}), FailureKind.FILTERED),
        (b"<html>", FailureKind.BROKEN),
    ],
)
def test_answers_that_are_none(body: bytes, kind: FailureKind) -> None:
    with pytest.raises(UpstreamFailure) as failed:
        GENERATE.decode(picture("gpt-image-1"), {}, body)
    assert failed.value.kind is kind


def test_a_refused_prompt_is_filtered() -> None:
    error = {"type": "image_generation_user_error", "code": "moderation_blocked", "message": "x", "param": None}
    failure = declaration("openai").wire.failure(400, {}, json.dumps({"error": error}).encode())
    assert failure.kind is FailureKind.FILTERED


def test_one_picture_is_changed_by_a_form() -> None:
    request = EDIT.encode(
        picture("gpt-image-1", {"input_fidelity": "high"}, images=[blob()], mask=blob(OTHER), image_count=2)
    )
    assert request.path == "/images/edits"
    assert told(request) == {
        "model": "gpt-image-1",
        "prompt": "a cat",
        "n": "2",
        "input_fidelity": "high",
        "image": ("image-0.png", "image/png", PNG),
        "mask": ("mask.png", "image/png", OTHER),
    }


def test_several_pictures_are_changed_by_a_form() -> None:
    fields = told(EDIT.encode(picture("gpt-image-1", images=[blob(), blob(JPEG, "image/jpeg")])))
    assert fields["image[]"] == [("image-0.png", "image/png", PNG), ("image-1.jpeg", "image/jpeg", JPEG)]


def test_addresses_and_files_go_as_json() -> None:
    images = [content_pb2.Blob(uri="https://a.example/x.png"), content_pb2.Blob(file_id="file-1"), blob()]
    body = told(EDIT.encode(picture("gpt-image-1", images=images, mask=images[1])))
    assert body["images"] == [
        {"image_url": "https://a.example/x.png"},
        {"file_id": "file-1"},
        {"image_url": f"data:image/png;base64,{TEXT}"},
    ]
    assert body["mask"] == {"file_id": "file-1"}


def test_others_like_it() -> None:
    errand = picture("dall-e-2", images=[blob()], edit=images_pb2.IMAGE_EDIT_VARIATION)
    request = EDIT.encode(errand)
    assert request.path == "/images/variations"
    assert told(request) == {
        "model": "dall-e-2",
        "response_format": "b64_json",
        "image": ("image-0.png", "image/png", PNG),
    }


def test_how_xai_is_shown_pictures() -> None:
    errand = picture("g", images=[blob()], mask=blob(), image_count=1)
    body = told(XAI_EDIT.encode(errand))
    assert body["image"] == {"url": f"data:image/png;base64,{TEXT}", "type": "image_url"}
    assert dropped(errand) == ["mask"]
    body = told(XAI_EDIT.encode(picture("g", images=[blob(), content_pb2.Blob(uri="https://a.example/x.png")])))
    assert [image["url"][:10] for image in body["images"]] == ["data:image", "https://a."]


@pytest.mark.parametrize(
    ("craft", "fields", "field"),
    [
        (EDIT, {"edit": images_pb2.IMAGE_EDIT_UPSCALE}, "edit"),
        (EDIT, {"edit": images_pb2.IMAGE_EDIT_VARIATION}, "edit"),
        (XAI_EDIT, {"images": [blob()] * 4}, "images"),
        (ChatImageEdits(), {"edit": images_pb2.IMAGE_EDIT_UPSCALE}, "edit"),
    ],
)
def test_what_can_never_be_done(craft: Any, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(TrunklineError) as refused:
        craft.encode(picture("gpt-image-1", **{"images": [blob()], **fields}))
    assert refused.value.reason is Reason.CAPABILITY_UNSUPPORTED
    assert refused.value.violations[0].field == f"input.{field}"


def test_there_must_be_something_to_change() -> None:
    for craft in (EDIT, XAI_EDIT, ChatImageEdits()):
        with pytest.raises(TrunklineError) as refused:
            craft.encode(picture("gpt-image-1"))
        assert refused.value.reason is Reason.VALIDATION


def test_pictures_by_a_chat() -> None:
    errand = picture("google/gemini-2.5-flash-image", aspect_ratio="16:9", quality="high", seed=3)
    request = ChatImages().encode(errand)
    assert request.path == "/chat/completions"
    assert told(request) == {
        "model": "google/gemini-2.5-flash-image",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "a cat"}]}],
        "modalities": ["image", "text"],
        "image_config": {"aspect_ratio": "16:9"},
        "seed": 3,
    }
    assert dropped(errand) == ["quality"]
    changed = told(ChatImageEdits().encode(picture("m", images=[blob()])))["messages"][0]["content"]
    assert changed[1] == {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{TEXT}"}}


def test_what_a_chat_draws() -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{TEXT}"}}
    choices = [{"message": {"role": "assistant", "content": "here", "images": [image]}}]
    details = {"image_tokens": 1290}
    usage = {"prompt_tokens": 4, "completion_tokens": 1300, "completion_tokens_details": details}
    body = b"\n   \n" + json.dumps({"id": "gen-1", "model": "m", "choices": choices, "usage": usage}).encode()
    product = ChatImages().decode(picture("m"), {}, body)
    assert (product.body.images[0].blob, product.response_id) == (blob(), "gen-1")
    assert product.usage is not None
    assert (product.usage.output_tokens, product.usage.unit_counts["output_image"]) == (1300, 1290)


def test_a_chat_that_draws_nothing() -> None:
    body = json.dumps({"choices": [{"message": {"content": "I would rather not"}}]}).encode()
    assert ChatImages().decode(picture("m"), {}, body).filtered
    with pytest.raises(UpstreamFailure) as failed:
        ChatImages().decode(picture("m"), {}, b'{"error": {"message": "overloaded", "code": 503}}')
    assert failed.value.kind is FailureKind.THROTTLED
