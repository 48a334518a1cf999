"""Films by OpenAI, Gemini and xAI: begun, asked after, fetched."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.wire.pictures import PNG, blob, dropped, film, told
from trunkline.v1 import content_pb2, usage_pb2
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.wire import films
from trunkline_server.wire.craft import Pending
from trunkline_server.wire.gemini.films import GeminiVideos
from trunkline_server.wire.openai_videos import OpenAIVideos
from trunkline_server.wire.xai_videos import XAIVideos

OPENAI, VEO, XAI = OpenAIVideos(), GeminiVideos(), XAIVideos()
TEXT = base64.b64encode(PNG).decode()
MODEL = "veo-3.1-lite-generate-preview"
NAME = f"models/{MODEL}/operations/umz7sqimep69"
FILE = "https://generativelanguage.googleapis.com/v1beta/files/abc:download?alt=media"


def asked(craft: Any, operation: str, http: int = 200, /, **fields: Any) -> Any:
    return craft.polled(film("m"), operation, http, {}, json.dumps(fields).encode())


def failure(craft: Any, operation: str, /, **fields: Any) -> FailureKind:
    with pytest.raises(UpstreamFailure) as failed:
        asked(craft, operation, **fields)
    return failed.value.kind


def test_openai_is_asked() -> None:
    errand = film("sora-2", 7, aspect_ratio="9:16", negative_prompt="dogs", video_count=2)
    request = OPENAI.submit(errand)
    assert (request.method, request.path) == ("POST", "/videos")
    assert told(request) == {"model": "sora-2", "prompt": "a cat", "seconds": "8", "size": "720x1280"}
    assert dropped(errand) == ["video_count", "negative_prompt", "duration"]


def test_openai_is_shown_a_picture() -> None:
    fields = told(OPENAI.submit(film("sora-2", 4, image=blob(), resolution="1792x1024")))
    assert fields["input_reference"] == ("image.png", "image/png", PNG)
    assert (fields["seconds"], fields["size"]) == ("4", "1792x1024")
    there = told(OPENAI.submit(film("sora-2", image=content_pb2.Blob(uri="https://a.example/x.png"))))
    assert there["input_reference"] == {"image_url": "https://a.example/x.png"}


def test_openai_has_no_such_size() -> None:
    with pytest.raises(TrunklineError) as refused:
        OPENAI.submit(film("sora-2", aspect_ratio="1:1"))
    assert refused.value.reason is Reason.PARAMETER_UNSUPPORTED


def test_openai_makes_a_film() -> None:
    errand = film("sora-2")
    job = {"id": "video_1", "object": "video", "status": "queued", "progress": 0, "seconds": "12"}
    operation = OPENAI.submitted(errand, {}, json.dumps(job).encode())
    assert OPENAI.poll(operation).path == "/videos/video_1"
    assert asked(OPENAI, operation, status="queued") == Pending()
    assert asked(OPENAI, operation, status="in_progress", progress=33) == Pending(33)
    assert asked(OPENAI, operation, status="completed", progress=100) == Pending(99, fetchable=True)
    assert OPENAI.fetch(operation, b"").path == "/videos/video_1/content"
    product = OPENAI.fetched(errand, operation, {"content-type": "video/mp4"}, b"film")
    (made,) = product.body.videos
    assert (made.blob.data, made.blob.media_type, made.duration.seconds) == (b"film", "video/mp4", 12)
    assert product.usage is not None
    assert dict(product.usage.unit_counts) == {"video_ms": 12000}


def test_openai_makes_none() -> None:
    operation = films.keep("video_1")
    blocked = {"code": "moderation_blocked", "message": "no"}
    assert failure(OPENAI, operation, status="failed", error=blocked) is FailureKind.FILTERED
    assert failure(OPENAI, operation, status="failed", error={"code": "odd"}) is FailureKind.TRANSIENT
    assert failure(OPENAI, operation, status="failed") is FailureKind.TRANSIENT
    assert failure(OPENAI, operation, status="else") is FailureKind.BROKEN
    with pytest.raises(UpstreamFailure):
        OPENAI.fetched(film("m"), operation, {"content-type": "text/html"}, b"<html>")


def test_veo_is_asked() -> None:
    errand = film(MODEL, 5, image=blob(), last_image=blob(), aspect_ratio="16:9", seed=2**32, with_audio=True)
    request = VEO.submit(errand)
    assert request.path == f"/v1beta/models/{MODEL}:predictLongRunning"
    picture = {"bytesBase64Encoded": TEXT, "mimeType": "image/png"}
    assert told(request) == {
        "instances": [{"prompt": "a cat", "image": picture, "lastFrame": picture}],
        "parameters": {"aspectRatio": "16:9", "durationSeconds": 5, "seed": 0},
    }
    assert dropped(errand) == ["with_audio"]


def test_veo_makes_a_film() -> None:
    errand = film(MODEL)
    operation = VEO.submitted(errand, {}, json.dumps({"name": NAME}).encode())
    assert VEO.poll(operation).path == f"/v1beta/{NAME}"
    assert asked(VEO, operation, name=NAME) == Pending()
    done = {"generateVideoResponse": {"generatedSamples": [{"video": {"uri": FILE}}]}}
    assert asked(VEO, operation, name=NAME, done=True, response=done) == Pending(99, fetchable=True)
    body = json.dumps({"done": True, "response": done}).encode()
    assert VEO.fetch(operation, body).path == "/v1beta/files/abc:download?alt=media"
    onward = VEO.onward(operation, FILE.replace("/v1beta", "/download/v1beta"))
    assert onward.path == "/download/v1beta/files/abc:download?alt=media"
    product = VEO.fetched(errand, operation, {"content-type": "video/mp4"}, b"film")
    assert product.body.videos[0].blob.data == b"film"
    assert product.usage is not None
    assert dict(product.usage.unit_counts) == {"video_ms": 8000}
    assert product.usage.source == usage_pb2.USAGE_SOURCE_ESTIMATED


def test_veo_makes_none() -> None:
    operation = films.keep(NAME)
    withheld = {"generateVideoResponse": {"raiMediaFilteredCount": 1, "raiMediaFilteredReasons": ["no"]}}
    assert failure(VEO, operation, done=True, response=withheld) is FailureKind.FILTERED
    assert failure(VEO, operation, done=True, response={}) is FailureKind.BROKEN
    overloaded = {"code": 14, "message": "The model is overloaded."}
    assert failure(VEO, operation, done=True, error=overloaded) is FailureKind.THROTTLED
    with pytest.raises(UpstreamFailure):
        VEO.onward(operation, "https://storage.example/elsewhere")
    with pytest.raises(TrunklineError):
        VEO.submit(film(MODEL, image=content_pb2.Blob(uri="https://a.example/x.png")))


def test_xai_is_asked() -> None:
    errand = film("grok-imagine-video", 1, resolution="480p", image=blob(), seed=3)
    request = XAI.submit(errand)
    assert request.path == "/videos/generations"
    assert told(request) == {
        "model": "grok-imagine-video",
        "prompt": "a cat",
        "duration": 1,
        "resolution": "480p",
        "image": {"url": f"data:image/png;base64,{TEXT}"},
    }
    assert dropped(errand) == ["seed"]


def test_xai_makes_a_film() -> None:
    errand = film("grok-imagine-video", 10)
    operation = XAI.submitted(errand, {}, b'{"request_id": "c84748c1-5ec7"}')
    assert XAI.poll(operation).path == "/videos/c84748c1-5ec7"
    assert asked(XAI, operation, 202, status="pending", progress=41) == Pending(41)
    product = asked(XAI, operation, status="done", video={"url": "https://vidgen.x.ai/a.mp4", "duration": 9})
    assert product.body.videos[0].blob.uri == "https://vidgen.x.ai/a.mp4"
    assert (dict(product.usage.unit_counts), product.usage.source) == (
        {"video_ms": 9000},
        usage_pb2.USAGE_SOURCE_PROVIDER,
    )
    agreed = asked(XAI, operation, status="done", video={"url": "https://vidgen.x.ai/a.mp4"})
    assert dict(agreed.usage.unit_counts) == {"video_ms": 10000}


def test_xai_makes_none() -> None:
    operation = films.keep("r1")
    withheld = {"url": "https://a", "respect_moderation": False}
    assert failure(XAI, operation, status="done", video=withheld) is FailureKind.FILTERED
    assert failure(XAI, operation, status="failed") is FailureKind.TRANSIENT
    assert failure(XAI, operation, status="expired") is FailureKind.TRANSIENT
    assert failure(XAI, operation, status="done") is FailureKind.BROKEN


@pytest.mark.parametrize(
    ("craft", "body"),
    [
        (OPENAI, {"id": "../keys"}),
        (OPENAI, {}),
        (VEO, {"name": "models/x/keys"}),
        (VEO, {"name": "operations/../../x"}),
        (XAI, {"request_id": "a/b"}),
    ],
)
def test_an_operation_cannot_be_another_place(craft: Any, body: dict[str, str]) -> None:
    with pytest.raises(UpstreamFailure) as failed:
        craft.submitted(film("m"), {}, json.dumps(body).encode())
    assert failed.value.kind is FailureKind.BROKEN


@pytest.mark.parametrize(
    ("told_s", "ms"), [("8", 8000), (1.5, 1500), ("", 0), (None, 0), ("nan", 0), (1e300, 0), (-1, 0)]
)
def test_lengths(told_s: object, ms: int) -> None:
    assert films.duration_ms(told_s) == ms
