"""Recorded pictures and films, read by these crafts and by a naive reader: they must agree."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from google.protobuf import duration_pb2

from tests.wire.pictures import film, picture
from tests.wire.recorded import Exchange, exchanges
from trunkline.v1 import content_pb2, images_pb2, video_pb2
from trunkline_server.core.errand import Errand
from trunkline_server.core.failure import FailureKind
from trunkline_server.providers.builtin import declaration
from trunkline_server.wire import films
from trunkline_server.wire.craft import Pending
from trunkline_server.wire.fal.films import FalVideos
from trunkline_server.wire.fal.images import FalImages
from trunkline_server.wire.gemini.films import GeminiVideos
from trunkline_server.wire.openai_images import OpenAIImageEdits, OpenAIImages
from trunkline_server.wire.openai_images.quirks import COMPATIBLE_MODELS, XAI_MODELS
from trunkline_server.wire.xai_videos import XAIVideos

FAL = '{"status": "/a", "response": "/a", "cancel": "/a"}'
CRAFTS: dict[str, Any] = {
    "openai__images-generations": OpenAIImages(),
    "openai__images-edits": OpenAIImageEdits(),
    "xai__images-generations": OpenAIImages(XAI_MODELS),
}


def craft_of(exchange: Exchange) -> Any:
    return CRAFTS[exchange.name.rpartition("__")[0].rpartition("__")[0]]


def told(each: dict[str, Any]) -> bytes | str:
    return base64.b64decode(each["b64_json"]) if each.get("b64_json") else each["url"]


def said(image: images_pb2.GeneratedImage) -> bytes | str:
    return image.blob.data or image.blob.uri


def good(exchange: Exchange) -> bool:
    return exchange.good


def bad(exchange: Exchange) -> bool:
    return exchange.status >= 400


def has_films(exchange: Exchange) -> bool:
    return exchange.good and "video" in exchange.answer()


def has_pictures(exchange: Exchange) -> bool:
    return exchange.good and "images" in exchange.answer()


@pytest.mark.parametrize("exchange", [*exchanges("openai__images", good), *exchanges("xai__images", good)])
def test_pictures(exchange: Exchange) -> None:
    answer = exchange.answer()
    product = craft_of(exchange).decode(picture("m"), exchange.headers, exchange.body)
    assert [said(image) for image in product.body.images] == [told(each) for each in answer["data"]]
    assert (product.usage is not None) == ("input_tokens" in (answer.get("usage") or {}))


def errand_of(sent: dict[str, Any]) -> Errand[images_pb2.ImageInput]:
    rest = dict(sent)
    images = [content_pb2.Blob(uri=each["image_url"]) for each in rest.pop("images", [])]
    wanted = images_pb2.ImageInput(prompt=rest.pop("prompt"), size=rest.pop("size", ""), images=images)
    wanted.as_uri = rest.pop("response_format", "b64_json") == "url"
    if "n" in rest:
        wanted.image_count = rest.pop("n")
    model, user = rest.pop("model", ""), rest.pop("user", "")
    return Errand("p", model, wanted, rest, user)


def spoken(exchange: Exchange) -> bool:
    return exchange.request.startswith(b"{")


@pytest.mark.parametrize("exchange", [*exchanges("openai__images", spoken), *exchanges("xai__images", spoken)])
def test_requests_for_pictures(exchange: Exchange) -> None:
    """What was sent without a model went to the first model of all, which took what others take today."""
    sent = exchange.question()
    craft = craft_of(exchange) if "model" in sent else OpenAIImages(COMPATIBLE_MODELS)
    request = craft.encode(errand_of(sent))
    assert exchange.path.endswith(request.path)
    again = {name: value for name, value in json.loads(request.body).items() if value != ""}
    if "response_format" not in sent:
        again.pop("response_format", None)
    assert again == sent


@pytest.mark.parametrize("exchange", exchanges("openai__images", bad))
def test_errors_of_pictures(exchange: Exchange) -> None:
    failure = declaration("openai").wire.failure(exchange.status, exchange.headers, exchange.body)
    code = exchange.answer()["error"].get("code")
    kinds = {"invalid_api_key": FailureKind.AUTH, "model_not_found": FailureKind.MODEL_UNKNOWN}
    refused = FailureKind.MODEL_UNKNOWN if "does not exist" in exchange.body.decode() else FailureKind.INVALID
    assert failure.kind is kinds.get(code, refused)


@pytest.mark.parametrize(
    "exchange",
    [
        *exchanges("fal__queue-result", has_pictures),
        *exchanges("fal__run-sync", has_pictures),
        *exchanges("huggingface__router-fal-ai", has_pictures),
    ],
)
def test_pictures_of_fal(exchange: Exchange) -> None:
    answer = exchange.answer()
    product = FalImages().fetched(picture("fal-ai/x"), FAL, exchange.headers, exchange.body)
    assert [image.blob.uri for image in product.body.images] == [each["url"] for each in answer["images"]]
    assert {image.seed for image in product.body.images} == {answer["seed"]}


@pytest.mark.parametrize(
    "exchange", [*exchanges("fal__run-sync", has_films), *exchanges("fal__queue-result", has_films)]
)
def test_films_of_fal(exchange: Exchange) -> None:
    product = FalVideos().fetched(film("fal-ai/x"), FAL, exchange.headers, exchange.body)
    assert product.body.videos[0].blob.uri == exchange.answer()["video"]["url"]


@pytest.mark.parametrize("exchange", exchanges("fal__queue-status"))
def test_the_queue_of_fal(exchange: Exchange) -> None:
    craft, answer = FalImages(), exchange.answer()
    model = exchange.path.lstrip("/").partition("/requests")[0]
    operation = craft.submitted(picture(model), exchange.headers, exchange.body)
    assert answer["status_url"].endswith(craft.poll(operation).path)
    assert answer["response_url"].endswith(craft.fetch(operation, b"").path)
    assert answer["cancel_url"].endswith(craft.cancel(operation).path)
    state = craft.polled(picture(model), operation, exchange.status, exchange.headers, exchange.body)
    assert state.fetchable == (answer["status"] == "COMPLETED")


@pytest.mark.parametrize("exchange", exchanges("fal__run-sync", bad))
def test_errors_of_fal(exchange: Exchange) -> None:
    failure = declaration("fal").wire.failure(exchange.status, exchange.headers, exchange.body)
    expected = {400: FailureKind.INVALID, 404: FailureKind.MODEL_UNKNOWN, 422: FailureKind.INVALID}
    assert failure.kind is expected.get(exchange.status, failure.kind)


@pytest.mark.parametrize("exchange", exchanges("xai__videos-generations"))
def test_a_film_of_xai_is_begun(exchange: Exchange) -> None:
    craft, sent = XAIVideos(), exchange.question()
    wanted = video_pb2.VideoInput(prompt=sent["prompt"], resolution=sent.get("resolution", ""))
    if "duration" in sent:
        wanted.duration.CopyFrom(duration_pb2.Duration(seconds=sent["duration"]))
    errand = Errand("xai", sent["model"], wanted)
    request = craft.submit(errand)
    assert exchange.path.endswith(request.path)
    assert json.loads(request.body) == {key: sent[key] for key in sent if key in json.loads(request.body)}
    operation = craft.submitted(errand, exchange.headers, exchange.body)
    assert craft.poll(operation).path == f"/videos/{exchange.answer()['request_id']}"


@pytest.mark.parametrize("exchange", exchanges("xai__videos-id", lambda each: each.status < 300))
def test_a_film_of_xai_comes_along(exchange: Exchange) -> None:
    answer = exchange.answer()
    state = XAIVideos().polled(film("m"), films.keep("r"), exchange.status, exchange.headers, exchange.body)
    if answer["status"] == "pending":
        assert state == Pending(answer.get("progress", 0))
    else:
        assert not isinstance(state, Pending)
        assert state.body.videos[0].blob.uri == answer["video"]["url"]


@pytest.mark.parametrize("exchange", exchanges("gemini__operations", good))
def test_an_operation_of_gemini(exchange: Exchange) -> None:
    craft, answer = GeminiVideos(), exchange.answer()
    operation = craft.submitted(film("m"), exchange.headers, json.dumps({"name": answer["name"]}).encode())
    assert craft.poll(operation).path == exchange.path
    state = craft.polled(film("m"), operation, exchange.status, exchange.headers, exchange.body)
    assert state.fetchable == answer.get("done", False)
