"""Judgements: one for each text and each picture, in order, whatever had to be asked apart."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.v1 import content_pb2, moderation_pb2, usage_pb2
from trunkline_server.core.errand import Errand
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.wire.openai_chat.moderation import OpenAIModeration
from trunkline_server.wire.pieces import Limits

CRAFT = OpenAIModeration()
PICTURE = content_pb2.Blob(data=b"\x89PNG")


def errand(*texts: str, images: int = 0, options: dict[str, object] | None = None) -> Errand[Any]:
    asked = moderation_pb2.ModerationInput(texts=texts, images=[PICTURE] * images)
    return Errand("acme", "m", asked, options or {})


def result(**categories: float) -> dict[str, object]:
    found = {name: score > 0.5 for name, score in categories.items()}
    return {"flagged": any(found.values()), "categories": found, "category_scores": categories}


def answer(*results: object, **more: object) -> bytes:
    return json.dumps({"id": "modr-1", "model": "m-1", "results": results, **more}).encode()


@given(st.integers(0, 20), st.integers(0, 4), st.integers(1, 7))
def test_each_text_and_each_picture_has_its_result(texts: int, images: int, texts_max: int) -> None:
    craft = OpenAIModeration(limits=Limits(texts_max=texts_max))
    asked = errand(*(f"text {place}" for place in range(texts)), images=images)
    products, scores = [], iter(range(1, 100))
    for piece in craft.split(asked):
        sent = json.loads(craft.encode(piece).body)["input"]
        assert len(sent) <= texts_max
        assert all(isinstance(each, str) for each in sent) or len(sent) == 1
        products.append(craft.decode(piece, {}, answer(*(result(hate=next(scores) / 100) for _ in sent))))

    results = craft.join(asked, products).body.results

    assert [each.categories[0].score for each in results] == [(n + 1) / 100 for n in range(texts + images)]


def test_a_picture_goes_alone_with_its_bytes() -> None:
    _, picture = CRAFT.split(errand("a", images=1, options={"user": "u"}))
    url = "data:image/png;base64,iVBORw=="
    assert json.loads(CRAFT.encode(picture).body) == {
        "model": "m",
        "user": "u",
        "input": [{"type": "image_url", "image_url": {"url": url}}],
    }


def test_a_picture_is_known_by_its_address_too() -> None:
    asked = errand()
    asked.input.images.add(uri="https://a.example/p.png")
    (picture,) = json.loads(CRAFT.encode(asked).body)["input"]
    assert picture["image_url"]["url"] == "https://a.example/p.png"


@pytest.mark.parametrize("images", [[PICTURE], [content_pb2.Blob(file_id="f-1")]])
def test_pictures_that_cannot_be_judged(images: list[content_pb2.Blob]) -> None:
    craft = OpenAIModeration(takes_images=images[0].HasField("file_id"))
    asked = Errand("acme", "m", moderation_pb2.ModerationInput(texts=["a"], images=images))
    with pytest.raises(TrunklineError) as caught:
        [craft.encode(piece) for piece in craft.split(asked)]
    assert caught.value.reason is Reason.CAPABILITY_UNSUPPORTED


def test_categories_stand_by_name_with_their_scores() -> None:
    product = CRAFT.decode(errand("a"), {}, answer(result(violence=0.9, hate=0.25)))
    (told,) = product.body.results
    assert told.flagged
    assert [(each.name, each.flagged, each.score) for each in told.categories] == [
        ("hate", False, 0.25),
        ("violence", True, 0.9),
    ]
    assert (product.model, product.response_id, product.usage) == ("m-1", "modr-1", None)


def test_who_draws_no_sum_is_helped() -> None:
    """Synthetic: the answer that Mistral documents."""
    told = {"categories": {"pii": True, "law": False}, "category_scores": {"pii": 0.99, "law": 0.01}}
    product = CRAFT.decode(errand("a"), {}, answer(told, usage={"prompt_tokens": 7}))
    assert product.body.results[0].flagged
    assert product.usage == usage_pb2.Usage(input_tokens=7, source=usage_pb2.USAGE_SOURCE_PROVIDER)


def test_what_an_older_model_does_not_look_for_is_left_out() -> None:
    told = {"flagged": False, "categories": {"hate": False, "illicit": None}, "category_scores": {"hate": 0.1}}
    (result_,) = CRAFT.decode(errand("a"), {}, answer(told)).body.results
    assert [each.name for each in result_.categories] == ["hate"]


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", answer(), answer(result(), result()), answer({})])
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(UpstreamFailure) as caught:
        CRAFT.decode(errand("a"), {}, body)
    assert caught.value.kind is FailureKind.BROKEN


@given(st.integers(0, 300), st.binary(max_size=6), st.integers(0, 8))
def test_no_bytes_do_more_harm_than_a_failure(at: int, junk: bytes, gone: int) -> None:
    whole = answer(result(violence=0.9, hate=0.25), usage={"prompt_tokens": 3})
    place = at % (len(whole) + 1)
    try:
        product = CRAFT.decode(errand("a"), {}, whole[:place] + junk + whole[place + gone :])
    except UpstreamFailure:
        return
    assert len(product.body.results) == 1
