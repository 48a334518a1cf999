"""Searches, over a socket: by meaning, by words, by both, by vectors and documents, filtered and put in order."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.collecting.conditions import CONDITIONS, FACTS
from tests.fixtures.gateway import RunningGateway
from tests.fixtures.library import BAKERY, HARBOUR, LIBRARY, Reader, document, told, town
from tests.fixtures.refusal import Refusal, invalid, refusal
from trunkline.v1 import collections_pb2, retrieval_pb2
from trunkline_server.providers.sandbox.embedding import vector

WORDS: Final = retrieval_pb2.SEARCH_MODE_WORDS
HYBRID: Final = retrieval_pb2.SEARCH_MODE_HYBRID


def options(**fields: Any) -> retrieval_pb2.SearchOptions:
    return retrieval_pb2.SearchOptions(**fields)


def query_vector(text: str) -> collections_pb2.QueryVector:
    return collections_pb2.QueryVector(values=vector(text, 64))


async def test_the_nearest_comes_first_and_says_how_near_it_is(gateway: RunningGateway) -> None:
    reader = await town(gateway)
    answer = await reader.search(BAKERY, options=options(limit=2))

    assert answer.hits[0].document_id == "bakery"
    assert answer.hits[0].similarity == pytest.approx(1.0, abs=1e-5)
    assert answer.hits[0].score == answer.hits[0].similarity > answer.hits[1].similarity
    assert (answer.hits[0].text, answer.hits[0].chunk_index) == (BAKERY, 0)
    assert [receipt.charge.nanos > 0 for receipt in answer.receipts] == [True]


async def test_a_vector_is_searched_for_free(gateway: RunningGateway) -> None:
    reader = await town(gateway)
    answer = await reader.search(vector=query_vector(LIBRARY))

    assert answer.hits[0].document_id == "library"
    assert not answer.receipts


async def test_what_is_like_a_document_is_not_the_document(gateway: RunningGateway) -> None:
    reader = await town(gateway)
    await reader.put(document("quay", "The harbour opens at six and boats leave."))

    assert (await reader.found(document_id="harbour"))[0] == "quay"
    assert "harbour" not in await reader.found(document_id="harbour")
    assert await refusal(reader.search(document_id="nobody")) == Refusal("NOT_FOUND", "RESOURCE_NOT_FOUND")


async def test_what_is_not_similar_enough_is_left_out(gateway: RunningGateway) -> None:
    reader = await town(gateway)
    assert await reader.found(BAKERY, options=options(min_similarity=0.9)) == ["bakery"]
    assert await reader.found("zebra", options=options(min_similarity=0.9)) == []


async def test_every_metric(gateway: RunningGateway) -> None:
    for metric in ("METRIC_COSINE", "METRIC_DOT_PRODUCT", "METRIC_EUCLIDEAN"):
        reader = Reader(gateway, gateway.metadata(), metric)
        await reader.make(metric=metric)
        await reader.put(document("harbour", HARBOUR), document("bakery", BAKERY))
        first, second = (await reader.search(HARBOUR)).hits
        assert first.document_id == "harbour"
        assert first.similarity == pytest.approx(1.0, abs=1e-3)
        assert first.similarity > second.similarity


async def test_by_words_nothing_is_embedded(gateway: RunningGateway) -> None:
    reader = await town(gateway)
    answer = await reader.search("books tide", options=options(mode=WORDS))

    assert sorted(hit.document_id for hit in answer.hits) == ["harbour", "library"]
    assert all(hit.word_rank > 0 and not hit.HasField("similarity") for hit in answer.hits)
    assert not answer.receipts
    assert await reader.found("zebra", options=options(mode=WORDS)) == []


async def test_a_language_knows_the_forms_of_words(gateway: RunningGateway) -> None:
    reader = await town(gateway, language="english")
    assert await reader.found("shipping", options=options(mode=WORDS)) == ["harbour"]


async def test_both_lists_are_put_together(gateway: RunningGateway) -> None:
    reader = await town(gateway)
    hits = (await reader.search("bread", options=options(mode=HYBRID))).hits

    assert hits[0].document_id == "bakery"
    assert hits[0].HasField("similarity")
    assert hits[0].HasField("word_rank")
    assert hits[0].score == pytest.approx(2 / 61)
    assert len(hits) == 3


async def test_a_reranker_has_the_last_word(gateway: RunningGateway) -> None:
    reader = await town(gateway)
    rerank = retrieval_pb2.SearchRerank(model="sandbox/rerank")
    answer = await reader.search("four weeks", options=options(rerank=rerank, limit=1))

    assert [(hit.document_id, hit.score) for hit in answer.hits] == [("library", 1.0)]
    assert len(answer.receipts) == 2


async def test_filters_hold_as_they_say_by_meaning_and_by_words(gateway: RunningGateway) -> None:
    reader = Reader(gateway, gateway.metadata())
    await reader.make()
    await reader.put(*(document(name, HARBOUR, facts=facts) for name, facts in FACTS.items()))
    every = set(FACTS)
    for name, (condition, wanted) in CONDITIONS.items():
        for part, expected in (("must", wanted), ("should", wanted), ("must_not", every - wanted)):
            filter = retrieval_pb2.MetadataFilter(**{part: [condition]})
            for mode in (WORDS, HYBRID):
                found = await reader.found("harbour", options=options(filter=filter, mode=mode))
                assert set(found) == expected, (name, part, mode)


async def test_all_parts_of_a_filter_hold_together(gateway: RunningGateway) -> None:
    reader = Reader(gateway, gateway.metadata())
    await reader.make()
    await reader.put(*(document(name, HARBOUR, facts=facts) for name, facts in FACTS.items()))
    filter = retrieval_pb2.MetadataFilter(
        must=[CONDITIONS["depth there"][0]],
        should=[CONDITIONS["place=north"][0], CONDITIONS["place in"][0]],
        must_not=[CONDITIONS["open"][0]],
    )
    assert await reader.found("harbour", options=options(filter=filter)) == ["b"]


NO_SEARCHES: Final[list[tuple[dict[str, Any], str]]] = [
    ({"text": " "}, "text"),
    ({"text": "\0"}, "text"),
    ({"vector": collections_pb2.QueryVector(values=[1.0])}, "vector.values"),
    ({"vector": collections_pb2.QueryVector(values=[0.0] * 64)}, "vector.values"),
    ({"document_id": "d", "options": options(mode=WORDS)}, "options.mode"),
    ({"document_id": "d", "options": options(rerank=retrieval_pb2.SearchRerank(model="m"))}, "options.rerank"),
    ({"text": "a", "options": options(min_similarity=float("nan"))}, "options.min_similarity"),
    (
        {
            "text": "a",
            "options": options(
                filter=retrieval_pb2.MetadataFilter(must=[retrieval_pb2.Condition(key="k", equals=told(["a", "b"]))])
            ),
        },
        "options.filter.must[0]",
    ),
]


async def test_searches_that_cannot_be(gateway: RunningGateway) -> None:
    reader = await town(gateway)
    for fields, path in NO_SEARCHES:
        assert await refusal(reader.search(**fields)) == invalid(path)


async def test_a_collection_that_was_made_anew_is_found_under_its_old_name(gateway: RunningGateway) -> None:
    reader = await town(gateway)
    assert await reader.found(BAKERY, options=options(limit=1)) == ["bakery"]
    request = collections_pb2.DeleteCollectionRequest(collection=reader.name)
    await gateway.collections.DeleteCollection(request, metadata=reader.metadata)

    assert await refusal(reader.search(BAKERY)) == Refusal("NOT_FOUND", "RESOURCE_NOT_FOUND")
    await reader.make()
    assert await reader.found(BAKERY) == []
    await reader.put(document("bakery", BAKERY))
    assert await reader.found(BAKERY) == ["bakery"]
    assert await reader.found(vector=query_vector(BAKERY), options=options(min_similarity=0.9)) == ["bakery"]
