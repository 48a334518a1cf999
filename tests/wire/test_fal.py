"""FAL's queue, and what goes through it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.wire.pictures import PNG, blob, dropped, film, picture, told
from trunkline.v1 import content_pb2
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.providers.builtin import declaration
from trunkline_server.wire.craft import Pending
from trunkline_server.wire.fal import Fal
from trunkline_server.wire.fal.films import FalVideos
from trunkline_server.wire.fal.images import FalImageEdits, FalImages

WIRE, MAKE, EDIT, FILM = Fal(), FalImages(), FalImageEdits(), FalVideos()
ADDRESS = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
PLACE = "https://queue.fal.run/fal-ai/flux/requests/r1"
TICKET = {"request_id": "r1", "status_url": f"{PLACE}/status", "response_url": PLACE, "cancel_url": f"{PLACE}/cancel"}


def operation(**fields: str) -> str:
    return MAKE.submitted(picture("fal-ai/flux/dev"), {}, json.dumps({**TICKET, **fields}).encode())


def polled(**fields: Any) -> Pending:
    return MAKE.polled(picture("fal-ai/flux/dev"), operation(), 200, {}, json.dumps(fields).encode())


def made(**fields: Any) -> Any:
    return MAKE.fetched(picture("fal-ai/flux/dev"), operation(), {}, json.dumps(fields).encode())


def test_what_is_asked() -> None:
    errand = picture(
        "fal-ai/flux/dev", {"guidance_scale": 3}, image_count=2, size="640x480", seed=2**60, quality="high"
    )
    request = MAKE.submit(errand)
    assert (request.method, request.path) == ("POST", "/fal-ai/flux/dev")
    assert told(request) == {
        "prompt": "a cat",
        "num_images": 2,
        "image_size": {"width": 640, "height": 480},
        "seed": 2**60,
        "sync_mode": True,
        "guidance_scale": 3,
    }
    assert dropped(errand) == ["quality"]
    assert "sync_mode" not in told(MAKE.submit(picture("fal-ai/flux/dev", as_uri=True)))


def test_how_pictures_are_changed() -> None:
    body = told(EDIT.submit(picture("fal-ai/x", images=[blob()], mask=blob(), strength=0.5)))
    assert (body["image_url"], body["mask_url"], body["strength"]) == (ADDRESS, ADDRESS, 0.5)
    there = content_pb2.Blob(uri="https://a.example/x.png")
    assert told(EDIT.submit(picture("fal-ai/x", images=[there, blob()])))["image_urls"] == [there.uri, ADDRESS]


@pytest.mark.parametrize("model", ["flux", "fal-ai/../keys", "fal-ai/flux?x", "/fal-ai/flux", "a//b"])
def test_a_model_that_could_be_another_place(model: str) -> None:
    with pytest.raises(TrunklineError) as refused:
        MAKE.submit(picture(model))
    assert refused.value.reason is Reason.MODEL_NOT_FOUND


def test_the_addresses_of_the_queue_are_kept_without_their_host() -> None:
    kept = operation(status_url="https://evil.example/fal-ai/flux/requests/r1/status")
    assert "http" not in kept
    assert MAKE.poll(kept).path == "/fal-ai/flux/requests/r1/status"
    assert MAKE.fetch(kept, b"").path == "/fal-ai/flux/requests/r1"
    stop = MAKE.cancel(kept)
    assert (stop.method, stop.path) == ("PUT", "/fal-ai/flux/requests/r1/cancel")


@pytest.mark.parametrize("url", ["https://queue.fal.run/other/flux/requests/r1", "", "https://queue.fal.run"])
def test_an_address_of_somebody_else(url: str) -> None:
    with pytest.raises(UpstreamFailure) as failed:
        operation(response_url=url)
    assert failed.value.kind is FailureKind.BROKEN


def test_how_far_it_is() -> None:
    assert polled(status="IN_QUEUE", queue_position=3) == Pending()
    assert polled(status="IN_PROGRESS", logs=None) == Pending()
    assert polled(status="COMPLETED", metrics={}) == Pending(99, fetchable=True)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"error": "x", "error_type": "request_timeout"}, FailureKind.TRANSIENT),
        ({"error": "x", "error_type": "content_policy_violation"}, FailureKind.FILTERED),
        ({"error": "User is locked. Reason: Exhausted balance."}, FailureKind.QUOTA),
        ({"error": "Something odd"}, FailureKind.TRANSIENT),
        ({"status": "LOST"}, FailureKind.BROKEN),
    ],
)
def test_completed_does_not_mean_success(fields: dict[str, str], kind: FailureKind) -> None:
    with pytest.raises(UpstreamFailure) as failed:
        polled(**{"status": "COMPLETED", **fields})
    assert failed.value.kind is kind


def test_pictures() -> None:
    images = [{"url": "https://fal.media/a.jpg", "content_type": "image/jpeg"}, {"url": ADDRESS}]
    product = made(images=images, seed=2062765390712234200, has_nsfw_concepts=[False, True], prompt="a cat")
    first, second = product.body.images
    assert (first.blob.uri, first.blob.media_type, first.filtered) == (images[0]["url"], "image/jpeg", False)
    assert (second.blob, second.filtered, product.filtered) == (blob(), True, True)
    assert {first.seed, second.seed} == {2062765390712234200}
    assert product.usage is None


def test_one_picture_with_a_seed_that_cannot_be_told() -> None:
    product = made(image={"url": ADDRESS}, seed=2**64, has_nsfw_concepts=[])
    assert len(product.body.images) == 1
    assert not product.body.images[0].HasField("seed")


@pytest.mark.parametrize("fields", [{}, {"images": []}, {"images": [{"url": ""}]}, {"images": "no"}])
def test_no_pictures(fields: dict[str, Any]) -> None:
    with pytest.raises(UpstreamFailure) as failed:
        made(**fields)
    assert failed.value.kind is FailureKind.BROKEN


def test_films() -> None:
    errand = film("fal-ai/kling-video/v2/master", 5, image=blob(), with_audio=False, seed=3)
    body = told(FILM.submit(errand))
    assert body == {"prompt": "a cat", "image_url": ADDRESS, "duration": "5", "seed": 3, "generate_audio": False}
    assert told(FILM.submit(film("fal-ai/veo3", 8)))["duration"] == "8s"

    kept = FILM.submitted(errand, {}, json.dumps(TICKET).encode())
    product = FILM.fetched(errand, kept, {}, b'{"video": {"url": "https://fal.media/a.mp4", "file_size": 3}}')
    (made,) = product.body.videos
    assert (made.blob.uri, made.duration.seconds) == ("https://fal.media/a.mp4", 5)
    assert product.usage is not None
    assert dict(product.usage.unit_counts) == {"video_ms": 5000}


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind", "should_retry"),
    [
        (401, {}, {"detail": "No user found for Key ID and Secret"}, FailureKind.AUTH, None),
        (403, {}, {"detail": "User is locked. Reason: Exhausted balance. Top up"}, FailureKind.QUOTA, None),
        (403, {}, {"detail": "Forbidden"}, FailureKind.AUTH, None),
        (404, {}, "404: Not Found", FailureKind.MODEL_UNKNOWN, None),
        (404, {}, {"detail": "Application 'x' not found"}, FailureKind.MODEL_UNKNOWN, None),
        (400, {}, {"detail": "Unsupported data URL"}, FailureKind.INVALID, None),
        (
            422,
            {},
            {"detail": [{"loc": ["body"], "msg": "field required", "type": "missing"}]},
            FailureKind.INVALID,
            None,
        ),
        (422, {}, {"detail": [{"msg": "x", "type": "content_policy_violation"}]}, FailureKind.FILTERED, None),
        (429, {}, {"detail": "Too many requests"}, FailureKind.THROTTLED, None),
        (504, {"x-fal-request-id": "r1"}, {"detail": "late"}, FailureKind.TRANSIENT, False),
        (504, {"x-fal-request-timeout-type": "user"}, "", FailureKind.TRANSIENT, False),
        (503, {}, "", FailureKind.TRANSIENT, None),
        (500, {"x-fal-error-type": "runner_disconnected"}, {"detail": []}, FailureKind.TRANSIENT, None),
    ],
)
def test_errors(status: int, headers: dict[str, str], body: Any, kind: FailureKind, should_retry: bool | None) -> None:
    spelled = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    failure = WIRE.failure(status, headers, spelled)
    assert (failure.kind, failure.should_retry) == (kind, should_retry)


def test_its_key_has_a_word_of_its_own() -> None:
    assert dict(declaration("fal").sign("k")) == {"authorization": "Key k"}


def test_a_question_that_proves_the_key() -> None:
    assert WIRE.encode_models().path.endswith("/status")
    assert WIRE.decode_models(b"{}") == []
