"""Stability: forms out, bytes back. None of it was ever recorded: these bodies are ours, after the documentation."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.wire.pictures import OTHER, PNG, blob, dropped, film, picture, told
from trunkline.v1 import images_pb2
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.wire.craft import Pending
from trunkline_server.wire.stability import Stability
from trunkline_server.wire.stability.films import StabilityVideos
from trunkline_server.wire.stability.images import StabilityImageEdits, StabilityImages

WIRE, MAKE, EDIT, FILM = Stability(), StabilityImages(), StabilityImageEdits(), StabilityVideos()
UPSCALE = images_pb2.IMAGE_EDIT_UPSCALE
HEADERS = {"content-type": "image/png", "finish-reason": "SUCCESS", "seed": "343940597"}


@pytest.mark.parametrize(
    ("model", "path", "more"),
    [
        ("core", "/v2beta/stable-image/generate/core", {}),
        ("stable-image-ultra", "/v2beta/stable-image/generate/ultra", {}),
        ("sd3.5-large", "/v2beta/stable-image/generate/sd3", {"model": "sd3.5-large"}),
    ],
)
def test_what_is_asked(model: str, path: str, more: dict[str, str]) -> None:
    options: dict[str, object] = {"cfg_scale": 4}
    errand = picture(
        model, options, size="1920x1080", seed=7, style="anime", negative_prompt="dogs", media_type="image/webp"
    )
    request = MAKE.encode(errand)
    assert (request.path, request.headers["accept"]) == (path, "image/*")
    assert told(request) == {
        "prompt": "a cat",
        "negative_prompt": "dogs",
        "style_preset": "anime",
        "aspect_ratio": "16:9",
        "output_format": "webp",
        "seed": "7",
        "cfg_scale": "4",
        **more,
    }
    assert errand.warnings == []
    assert not MAKE.is_idempotent
    assert len(MAKE.split(picture(model, image_count=3))) == 3


@pytest.mark.parametrize(
    ("model", "edit", "path", "more"),
    [
        (
            "inpaint",
            0,
            "/v2beta/stable-image/edit/inpaint",
            {"prompt": "a cat", "mask": ("mask.png", "image/png", OTHER)},
        ),
        (
            "erase",
            images_pb2.IMAGE_EDIT_PROMPT,
            "/v2beta/stable-image/edit/erase",
            {"mask": ("mask.png", "image/png", OTHER)},
        ),
        (
            "sd3.5-medium",
            0,
            "/v2beta/stable-image/generate/sd3",
            {"mode": "image-to-image", "strength": "0.5", "prompt": "a cat", "model": "sd3.5-medium"},
        ),
        ("ultra", 0, "/v2beta/stable-image/generate/ultra", {"strength": "0.5", "prompt": "a cat"}),
        ("upscale-conservative", UPSCALE, "/v2beta/stable-image/upscale/conservative", {"prompt": "a cat"}),
        ("upscale-fast", UPSCALE, "/v2beta/stable-image/upscale/fast", {}),
    ],
)
def test_how_pictures_are_changed(
    model: str, edit: images_pb2.ImageEdit.ValueType, path: str, more: dict[str, Any]
) -> None:
    fields: dict[str, Any] = {"mask": blob(OTHER)} if "mask" in more else {}
    request = EDIT.encode(picture(model, images=[blob()], edit=edit, **fields))
    assert request.path == path
    assert told(request) == {"image": ("image.png", "image/png", PNG), **more}


def test_how_much_may_go() -> None:
    errand = picture("sd3.5-large", images=[blob(), blob()], strength=0.25, aspect_ratio="1:1")
    assert told(EDIT.encode(errand))["strength"] == "0.25"
    assert dropped(errand) == ["images", "aspect_ratio"]


@pytest.mark.parametrize(
    ("craft", "model", "fields", "reason"),
    [
        (MAKE, "sd9", {}, Reason.MODEL_NOT_FOUND),
        (MAKE, "inpaint", {}, Reason.CAPABILITY_UNSUPPORTED),
        (EDIT, "core", {"images": [blob()]}, Reason.CAPABILITY_UNSUPPORTED),
        (EDIT, "upscale-fast", {"images": [blob()]}, Reason.CAPABILITY_UNSUPPORTED),
        (EDIT, "inpaint", {"images": [blob()], "edit": UPSCALE}, Reason.CAPABILITY_UNSUPPORTED),
        (EDIT, "ultra", {"images": [blob()], "mask": blob()}, Reason.CAPABILITY_UNSUPPORTED),
        (EDIT, "inpaint", {}, Reason.VALIDATION),
    ],
)
def test_what_can_never_be_done(craft: Any, model: str, fields: dict[str, Any], reason: Reason) -> None:
    with pytest.raises(TrunklineError) as refused:
        craft.encode(picture(model, **fields))
    assert refused.value.reason is reason


def test_bytes_come_back() -> None:
    product = MAKE.decode(picture("core"), HEADERS, PNG)
    (image,) = product.body.images
    assert (image.blob, image.seed, image.filtered, product.usage) == (blob(), 343940597, False, None)


def test_json_comes_back() -> None:
    body = {"image": base64.b64encode(PNG).decode(), "finish_reason": "CONTENT_FILTERED", "seed": 0}
    product = EDIT.decode(picture("core"), {"content-type": "application/json"}, json.dumps(body).encode())
    (image,) = product.body.images
    assert (image.blob, image.seed, image.filtered, product.filtered) == (blob(), 0, True, True)


@pytest.mark.parametrize("headers", [{}, {"content-type": "text/html"}, {"content-type": "application/json"}])
def test_answers_that_are_none(headers: dict[str, str]) -> None:
    with pytest.raises(UpstreamFailure) as failed:
        MAKE.decode(picture("core"), headers, b"<html>")
    assert failed.value.kind is FailureKind.BROKEN


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (
            400,
            {"errors": ["content-type: must be multipart/form-data"], "id": "x", "name": "bad_request"},
            FailureKind.INVALID,
        ),
        (401, {"errors": ["no"], "name": "unauthorized"}, FailureKind.AUTH),
        (402, {"errors": ["no"], "name": "payment_required"}, FailureKind.QUOTA),
        (403, {"errors": ["Your request was flagged.."], "name": "content_moderation"}, FailureKind.FILTERED),
        (403, {"errors": ["no"], "name": "forbidden"}, FailureKind.AUTH),
        (404, {"errors": ["no"], "name": "not_found"}, FailureKind.MODEL_UNKNOWN),
        (413, {"errors": ["no"], "name": "payload_too_large"}, FailureKind.INVALID),
        (429, {"errors": ["no"], "name": "rate_limit_exceeded"}, FailureKind.THROTTLED),
        (500, {"errors": ["no"], "name": "internal_error"}, FailureKind.TRANSIENT),
        (500, "not JSON", FailureKind.TRANSIENT),
    ],
)
def test_errors(status: int, body: Any, kind: FailureKind) -> None:
    spelled = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    assert WIRE.failure(status, {}, spelled).kind is kind


def test_the_balance_proves_the_key() -> None:
    assert WIRE.encode_models().path == "/v1/user/balance"
    assert "core" in WIRE.decode_models(b'{"credits": 0.63}')
    with pytest.raises(UpstreamFailure):
        WIRE.decode_models(b"<html>")


def test_a_picture_is_set_in_motion() -> None:
    errand = film("image-to-video", image=blob(), seed=3, resolution="720p")
    request = FILM.submit(errand)
    assert request.path == "/v2beta/image-to-video"
    assert told(request) == {"seed": "3", "image": ("image.png", "image/png", PNG)}
    assert dropped(errand) == ["prompt", "resolution"]

    operation = FILM.submitted(
        errand, {}, b'{"id": "a6dc6c6e20acda010fe14d71f180658f2896ed9b4ec25aa99a6ff06c796987c4"}'
    )
    poll = FILM.poll(operation)
    assert poll.path.startswith("/v2beta/image-to-video/result/a6dc")
    assert FILM.polled(errand, operation, 202, {}, b'{"id": "x", "status": "in-progress"}') == Pending()
    headers = {"content-type": "video/mp4", "finish-reason": "CONTENT_FILTERED"}
    product = FILM.polled(errand, operation, 200, headers, b"film")
    assert not isinstance(product, Pending)
    assert (product.body.videos[0].blob.data, product.filtered, product.usage) == (b"film", True, None)


def test_a_film_needs_a_picture() -> None:
    with pytest.raises(TrunklineError) as refused:
        FILM.submit(film("image-to-video"))
    assert refused.value.violations[0].field == "input.image"
