"""Collections, over a socket: made, filled, changed, emptied, and closed to strangers."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.fixtures.gateway import RunningGateway
from tests.fixtures.library import BAKERY, HARBOUR, Reader, document, town
from tests.fixtures.refusal import Refusal, invalid, refusal, send
from tests.fixtures.requests.collections import GOOD
from tests.fixtures.talks import another_tenant
from trunkline.v1 import collections_pb2, embeddings_pb2, retrieval_pb2

NOT_FOUND: Final = Refusal("NOT_FOUND", "RESOURCE_NOT_FOUND")
EXISTS: Final = Refusal("ALREADY_EXISTS", "RESOURCE_EXISTS")


@pytest.fixture
def reader(gateway: RunningGateway) -> Reader:
    return Reader(gateway, gateway.metadata())


async def test_a_collection_is_told_as_it_was_made(reader: Reader) -> None:
    made = await reader.make(description="all of it", chunk_tokens=100)

    assert await reader.look() == made
    assert (made.store, made.document_count, made.spec.overlap_tokens) == ("pgvector", 0, 10)
    assert made.spec.metric == collections_pb2.METRIC_COSINE
    assert await refusal(reader.make()) == EXISTS


async def test_it_goes_with_all_that_is_in_it_and_its_name_is_free(gateway: RunningGateway) -> None:
    reader = await town(gateway)
    request = collections_pb2.DeleteCollectionRequest(collection=reader.name)
    await gateway.collections.DeleteCollection(request, metadata=reader.metadata)

    assert await refusal(reader.look()) == NOT_FOUND
    await reader.make()
    assert await reader.found("harbour") == []


async def test_the_list_goes_by_name(gateway: RunningGateway) -> None:
    for name in ("b", "c", "a"):
        await Reader(gateway, gateway.metadata(), name).make()
    first = await gateway.collections.ListCollections(
        collections_pb2.ListCollectionsRequest(page_size=2), metadata=gateway.metadata()
    )
    request = collections_pb2.ListCollectionsRequest(page_size=2, page_token=first.next_page_token)
    second = await gateway.collections.ListCollections(request, metadata=gateway.metadata())

    assert [each.spec.name for each in (*first.collections, *second.collections)] == ["a", "b", "c"]
    assert not second.next_page_token


async def test_words_that_stay_are_neither_embedded_nor_paid_for_again(gateway: RunningGateway) -> None:
    reader = await town(gateway)
    again = await reader.put(document("harbour", HARBOUR), document("bakery", BAKERY + " Closed on Mondays."))

    assert (again.embedded_count, again.unchanged_count, again.chunk_count) == (1, 1, 1)
    assert again.receipt.charge.nanos > 0
    same = await reader.put(document("harbour", HARBOUR))
    assert (same.unchanged_count, same.HasField("receipt")) == (1, False)
    assert (await reader.look()).chunk_count == 3


async def test_embedding_costs_what_embed_costs(gateway: RunningGateway, reader: Reader) -> None:
    await reader.make()
    put = await reader.put(document("harbour", HARBOUR))
    input = embeddings_pb2.EmbedInput(model="sandbox/embed", texts=[HARBOUR], dimensions=64)
    embedded = await gateway.embeddings.Embed(embeddings_pb2.EmbedRequest(input=input), metadata=gateway.metadata())

    assert put.receipt.charge == embedded.receipt.charge
    assert put.receipt.usage == embedded.receipt.usage


async def test_what_else_is_said_of_a_document_changes_without_embedding(gateway: RunningGateway) -> None:
    reader = await town(gateway)
    await reader.put(document("harbour", HARBOUR, title="Port", facts={"depth": 12.0}))
    condition = retrieval_pb2.Condition(key="depth", range=retrieval_pb2.NumberRange(at_least=10))
    deep = retrieval_pb2.SearchOptions(filter=retrieval_pb2.MetadataFilter(must=[condition]))

    hits = (await reader.search("bread", options=deep)).hits
    assert [(hit.document_id, hit.title, hit.metadata["depth"].number) for hit in hits] == [("harbour", "Port", 12.0)]


async def test_a_long_text_comes_as_chunks_and_given_chunks_stay(reader: Reader) -> None:
    await reader.make(chunk_tokens=32, overlap_tokens=8)
    long = " ".join(f"Sentence {number} tells of the sea." for number in range(40))
    await reader.put(document("long", long), document("cut", chunks=["one", "two"]))

    stored = await reader.get("long")
    assert stored.chunk_count == len(stored.document.chunks) > 5
    assert stored.document.chunks[0].startswith("Sentence 0 tells")
    assert stored.document.chunks[-1].endswith("39 tells of the sea.")
    assert list((await reader.get("cut")).document.chunks) == ["one", "two"]


async def test_other_words_take_the_place_of_the_old_ones(gateway: RunningGateway) -> None:
    reader = await town(gateway)
    await reader.put(document("harbour", "Nothing but gulls."))

    hits = (await reader.search("gulls")).hits
    assert [hit.text for hit in hits if hit.document_id == "harbour"] == ["Nothing but gulls."]
    assert len(hits) == 3


async def test_documents_go_and_are_not_found(gateway: RunningGateway) -> None:
    reader = await town(gateway)

    assert await reader.delete("harbour", "nobody") == 1
    assert sorted(await reader.found("harbour")) == ["bakery", "library"]
    assert await refusal(reader.get("harbour")) == NOT_FOUND
    assert (await reader.look()).document_count == 2


async def test_the_documents_of_a_collection_go_by_id(gateway: RunningGateway) -> None:
    reader = await town(gateway)
    request = collections_pb2.ListDocumentsRequest(collection=reader.name, page_size=2)
    first = await gateway.collections.ListDocuments(request, metadata=reader.metadata)
    request.page_token = first.next_page_token
    second = await gateway.collections.ListDocuments(request, metadata=reader.metadata)

    told = [each.document.document_id for each in (*first.documents, *second.documents)]
    assert told == ["bakery", "harbour", "library"]


NO_COLLECTIONS: Final[list[tuple[dict[str, Any], str]]] = [
    ({"chunk_tokens": 15}, "spec.chunk_tokens"),
    ({"chunk_tokens": 20, "overlap_tokens": 11}, "spec.overlap_tokens"),
    ({"language": "klingon"}, "spec.language"),
    ({"name": "coll_" + "0" * 32}, "spec.name"),
    ({"description": "\0"}, "spec.description"),
    ({"dimensions": 4001}, "spec.dimensions"),
]


async def test_a_collection_that_cannot_be(reader: Reader) -> None:
    for fields, path in NO_COLLECTIONS:
        assert await refusal(reader.make(**fields)) == invalid(path)
    unknown = await refusal(reader.make(model="nobody/embed"))
    assert unknown == Refusal("NOT_FOUND", "MODEL_NOT_FOUND")
    await reader.make()  # the name is still free


NO_DOCUMENTS: Final[list[tuple[list[collections_pb2.Document], str]]] = [
    ([document("a", "x"), document("a", "y")], "input.documents[1].document_id"),
    ([document("a")], "input.documents[0].text"),
    ([document("a", "  ")], "input.documents[0].text"),
    ([document("a", "x", chunks=["y"])], "input.documents[0].text"),
    ([document("a", "x\0")], "input.documents[0].text"),
    ([document("a\0", "x")], "input.documents[0].document_id"),
    ([document("a", "x", facts={"k": "\0"})], "input.documents[0].metadata['k']"),
]


async def test_documents_that_cannot_be(gateway: RunningGateway) -> None:
    reader = await town(gateway)
    for documents, path in NO_DOCUMENTS:
        assert await refusal(reader.put(*documents)) == invalid(path)
    assert (await reader.look()).document_count == 3


async def test_vectors_of_every_length(gateway: RunningGateway) -> None:
    for dimensions in (1, 2000, 2001, 4000):
        reader = Reader(gateway, gateway.metadata(), f"of-{dimensions}")
        await reader.make(dimensions=dimensions)
        await reader.put(document("a", HARBOUR))
        assert await reader.found("the harbour opens") == ["a"]
    vector = collections_pb2.QueryVector(values=[1e6] * 4000)  # which 16 bits do not hold
    assert await refusal(reader.search(vector=vector)) == invalid("vector.values")


async def test_strangers_find_nothing(gateway: RunningGateway) -> None:
    made = await (reader := await town(gateway)).look()
    stranger = await another_tenant(gateway)
    for method, request in GOOD.items():
        for name in (made.collection_id, made.spec.name, "nobody"):
            if "collection" in request.DESCRIPTOR.fields_by_name or "input" in request.DESCRIPTOR.fields_by_name:
                asked = _about(request, name)
                told = await refusal(send(gateway.channel, f"/trunkline.v1.{method}", asked, stranger))
                assert told == NOT_FOUND, (method, name)
    own = Reader(gateway, stranger)
    await own.make()
    assert await own.found("harbour") == []
    assert len(await reader.found("harbour")) == 3


def _about(request: Any, name: str) -> Any:
    asked = type(request)()
    asked.CopyFrom(request)
    (asked.input if "input" in asked.DESCRIPTOR.fields_by_name else asked).collection = name
    return asked
