"""Ranks: the best first, every document at most once, and what is charged."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.v1 import embeddings_pb2
from trunkline_server.core.errand import Errand
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.product import Product
from trunkline_server.wire.rerank import Rerank

CRAFT = Rerank()


def errand(*documents: str, **fields: Any) -> Errand[embeddings_pb2.RerankInput]:
    asked = embeddings_pb2.RerankInput(query="q", documents=documents or ("a", "b", "c"), **fields)
    return Errand("acme", "m", asked, {"return_documents": False})


def answer(*scores: tuple[int, float], **more: object) -> bytes:
    return json.dumps({"results": [{"index": i, "relevance_score": s} for i, s in scores], **more}).encode()


def ranks(product: Product[embeddings_pb2.RerankResponse]) -> list[tuple[int, float]]:
    return [(each.index, each.score) for each in product.body.documents]


def test_the_question() -> None:
    request = Rerank(path="/v2/rerank").encode(errand("a", "b", top_count=9))
    assert (request.method, request.path) == ("POST", "/v2/rerank")
    assert json.loads(request.body) == {
        "model": "m",
        "query": "q",
        "documents": ["a", "b"],
        "top_n": 2,
        "return_documents": False,
    }


def test_all_are_told_unless_fewer_are_wanted() -> None:
    assert "top_n" not in json.loads(CRAFT.encode(errand()).body)
    body = answer((0, 0.1), (1, 0.9), (2, 0.5))
    assert ranks(CRAFT.decode(errand(), {}, body)) == [(1, 0.9), (2, 0.5), (0, 0.1)]
    assert ranks(CRAFT.decode(errand(top_count=2), {}, body)) == [(1, 0.9), (2, 0.5)]


def test_equals_keep_the_order_of_the_question() -> None:
    assert ranks(CRAFT.decode(errand(), {}, answer((2, 0.5), (0, 0.5)))) == [(0, 0.5), (2, 0.5)]


@pytest.mark.parametrize(
    ("more", "searches", "tokens"),
    [
        ({"meta": {"billed_units": {"search_units": 2}}}, 2, 0),
        ({"usage": {"search_units": 1, "total_tokens": 17}}, 1, 0),
        ({"usage": {"total_tokens": 17, "cost": 3.4e-7}}, 0, 17),
        ({"usage": {"prompt_tokens": 12, "total_tokens": 17}}, 0, 12),
    ],
)
def test_searches_are_charged_or_tokens(more: dict[str, object], searches: int, tokens: int) -> None:
    usage = CRAFT.decode(errand(), {}, answer((0, 0.5), **more)).usage
    assert usage is not None
    assert (usage.unit_counts.get("searches", 0), usage.input_tokens) == (searches, tokens)


@pytest.mark.parametrize("more", [{}, {"usage": None}, {"usage": {}}, {"meta": {"billed_units": {"search_units": -1}}}])
def test_what_is_not_told(more: dict[str, object]) -> None:
    assert CRAFT.decode(errand(), {}, answer((0, 0.5), **more)).usage is None


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"{}", b"\xff", b"null"),
        answer((3, 0.5)),
        answer((-1, 0.5)),
        answer((1, 0.5), (1, 0.4)),
        b'{"results": [{"index": 0}]}',
    ],
)
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(UpstreamFailure) as caught:
        CRAFT.decode(errand(), {}, body)
    assert caught.value.kind is FailureKind.BROKEN


def test_an_error_inside_a_good_answer() -> None:
    with pytest.raises(UpstreamFailure) as caught:
        CRAFT.decode(errand(), {}, b'  {"error": {"message": "requires more credits", "code": 402}}')
    assert caught.value.kind is FailureKind.QUOTA


@given(st.integers(0, 200), st.binary(max_size=6), st.integers(0, 8))
def test_no_bytes_do_more_harm_than_a_failure(at: int, junk: bytes, gone: int) -> None:
    whole = answer((1, 0.9), (0, 0.1), usage={"total_tokens": 17}, id="r-1")
    place = at % (len(whole) + 1)
    try:
        product = CRAFT.decode(errand(), {}, whole[:place] + junk + whole[place + gone :])
    except UpstreamFailure:
        return
    assert {each.index for each in product.body.documents} <= {0, 1, 2}
