"""What all crafts of pictures share."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.wire.pictures import JPEG, PNG, blob, dropped, picture
from trunkline.v1 import content_pb2, images_pb2
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.wire import pictures
from trunkline_server.wire.http import path_of
from trunkline_server.wire.openai_images import OpenAIImages

RATIOS = ("1:1", "16:9", "9:16")


@pytest.mark.parametrize(
    ("fields", "nearest", "warned"),
    [
        ({}, "", []),
        ({"size": "auto"}, "", []),
        ({"size": "1024x1024"}, "1:1", []),
        ({"size": "1920x1080"}, "16:9", []),
        ({"size": "1024x1536"}, "9:16", ["size"]),
        ({"aspect_ratio": "9:16"}, "9:16", []),
        ({"aspect_ratio": "3:2"}, "16:9", ["aspect_ratio"]),
        ({"aspect_ratio": "16:9", "size": "64x64"}, "16:9", []),
    ],
)
def test_the_nearest_ratio(fields: dict[str, Any], nearest: str, warned: list[str]) -> None:
    errand = picture("m", **fields)
    assert pictures.ratio(errand, RATIOS) == nearest
    assert dropped(errand) == warned


def test_a_ratio_that_is_not_there_is_refused_where_nothing_may_be_changed() -> None:
    with pytest.raises(TrunklineError) as refused:
        pictures.ratio(picture("m", aspect_ratio="3:2", strict_parameters=True), RATIOS)
    assert refused.value.reason is Reason.PARAMETER_UNSUPPORTED


def test_a_size_for_a_ratio() -> None:
    sizes = ("1024x1024", "1536x1024")
    assert pictures.size_of_ratio(picture("m", aspect_ratio="3:2"), sizes) == "1536x1024"
    assert pictures.size_of_ratio(picture("m", size="7x7"), sizes) == "7x7"
    assert pictures.size_of_ratio(picture("m"), sizes) == ""


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(b"\xfb\xff\xfe!").decode(),
        base64.urlsafe_b64encode(b"\xfb\xff\xfe!").decode(),
        "data:image/png;base64," + base64.b64encode(b"\xfb\xff\xfe!").decode(),
    ],
)
def test_bytes_as_text(text: str) -> None:
    assert pictures.decode(text) == b"\xfb\xff\xfe!"


@pytest.mark.parametrize("text", ["abc", "é", "data:,a"])
def test_what_is_no_base64(text: str) -> None:
    with pytest.raises(UpstreamFailure) as failed:
        pictures.decode(text)
    assert failed.value.kind is FailureKind.BROKEN


def test_bytes_know_better_what_they_are() -> None:
    assert pictures.picture(JPEG, "image/png").blob.media_type == "image/jpeg"
    assert pictures.picture(b"unknown", "image/avif").blob.media_type == "image/avif"


def test_an_address_may_hold_the_bytes() -> None:
    assert pictures.picture_at(pictures.address(blob(), "images")).blob == blob()
    assert pictures.picture_at("https://there.example/a.png", "image/png").blob.uri == "https://there.example/a.png"
    with pytest.raises(TrunklineError) as refused:
        pictures.address(content_pb2.Blob(file_id="f1"), "images")
    assert refused.value.reason is Reason.CAPABILITY_UNSUPPORTED


def test_more_pictures_than_a_request_makes() -> None:
    craft, errand = OpenAIImages(), picture("dall-e-3", image_count=3, seed=7)
    pieces = craft.split(errand)
    assert [(piece.input.image_count, piece.input.seed) for piece in pieces] == [(1, 7), (1, 8), (1, 9)]
    for piece in pieces:
        craft.encode(piece)
    assert dropped(errand) == ["seed"]  # once, not three times

    products = [craft.product([pictures.picture(PNG)]) for _ in pieces]
    products[1].filtered = True
    joined = craft.join(errand, products)
    assert (len(joined.body.images), joined.filtered) == (3, True)
    assert len(craft.split(picture("gpt-image-1", image_count=10))) == 1
    assert [piece.input.image_count for piece in craft.split(picture("gpt-image-1", image_count=16))] == [10, 6]


def test_no_picture_is_no_answer() -> None:
    with pytest.raises(UpstreamFailure) as failed:
        pictures.product(images_pb2.GenerateImagesResponse, [])
    assert failed.value.kind is FailureKind.BROKEN


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("https://queue.fal.run/fal-ai/flux/requests/1/status", "/fal-ai/flux/requests/1/status"),
        ("https://evil.example/fal-ai/flux", "/fal-ai/flux"),
        ("http://127.0.0.1:9/some/prefix/fal-ai/flux?logs=1", "/fal-ai/flux?logs=1"),
        ("/fal-ai/flux", "/fal-ai/flux"),
    ],
)
def test_only_the_path_of_an_address_counts(address: str, path: str) -> None:
    assert path_of(address, "/fal-ai/") == path


@pytest.mark.parametrize(
    "address",
    [
        "",
        "https://queue.fal.run",
        "https://queue.fal.run/other/",
        "ftp://a/fal-ai/x",
        "/fal-ai/../keys",
        "/fal-ai/a b",
        "/fal-ai/a\r\nx: y",
        "//fal-ai\n/",
    ],
)
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(UpstreamFailure) as failed:
        path_of(address, "/fal-ai/")
    assert failed.value.kind is FailureKind.BROKEN
