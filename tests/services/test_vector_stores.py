"""Vector stores over the socket: at the sandbox, and as OpenAI's are asked for."""

from __future__ import annotations

import json
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest

from tests.fixtures.gateway import RunningGateway, StartGateway, question, reason_of
from tests.fixtures.talks import another_tenant
from tests.fixtures.upstream import Upstream
from trunkline.v1 import chat_pb2, content_pb2, files_pb2, providers_pb2, vector_stores_pb2
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.gateway.abroad import way_back
from trunkline_server.gateway.copies import Copies
from trunkline_server.store.archive import Archive
from trunkline_server.store.database import Database
from trunkline_server.store.database_contents import DatabaseContents
from trunkline_server.store.files import OPERATORS, Copy, Files
from trunkline_server.store.vector_stores import VectorStores

BOOK = b"cats sleep all day\ndogs run in the park\ncats and dogs are friends\n"


async def upload(gateway: RunningGateway, data: bytes = BOOK) -> str:
    spec = files_pb2.FileSpec(filename="book.txt", media_type="text/plain")
    first = files_pb2.UploadFileRequest(file=spec, data=data)
    return (await gateway.files.UploadFile(iter([first]), metadata=gateway.metadata())).file.file_id


async def copies_of(gateway: RunningGateway, file_id: str) -> list[str]:
    """What providers call it."""
    got = await gateway.files.GetFile(files_pb2.GetFileRequest(file_id=file_id), metadata=gateway.metadata())
    return [copy.provider_file_id for copy in got.file.copies]


async def make(gateway: RunningGateway, *file_ids: str, provider: str = "sandbox") -> vector_stores_pb2.VectorStore:
    request = vector_stores_pb2.CreateVectorStoreRequest(provider=provider, name="books", file_ids=file_ids)
    return (await gateway.vector_stores.CreateVectorStore(request, metadata=gateway.metadata())).vector_store


async def get(gateway: RunningGateway, store_id: str) -> vector_stores_pb2.VectorStore:
    request = vector_stores_pb2.GetVectorStoreRequest(vector_store_id=store_id)
    return (await gateway.vector_stores.GetVectorStore(request, metadata=gateway.metadata())).vector_store


async def search(gateway: RunningGateway, store_id: str, query: str, **more: Any) -> list[vector_stores_pb2.Passage]:
    request = vector_stores_pb2.SearchVectorStoreRequest(vector_store_id=store_id, query=query, **more)
    found = await gateway.vector_stores.SearchVectorStore(request, metadata=gateway.metadata())
    return list(found.passages)


async def refused(call: Awaitable[object]) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return reason_of(caught.value)


async def test_a_store_is_made_filled_searched_emptied_and_deleted(gateway: RunningGateway) -> None:
    book, other = await upload(gateway), await upload(gateway, b"birds sing\n")
    store = await make(gateway, book)
    assert list(store.file_ids) == [book]
    name = store.vector_store_id
    added = vector_stores_pb2.AddFilesRequest(vector_store_id=name, file_ids=[other])
    for _ in range(2):
        answer = await gateway.vector_stores.AddFiles(added, metadata=gateway.metadata())
        assert list(answer.vector_store.file_ids) == [book, other]
    assert (await get(gateway, name)).standing.ready_count == 2
    found = await search(gateway, name, "when do cats sleep", limit=2)
    assert [(each.file_id, each.text) for each in found] == [
        (book, "cats sleep all day"),
        (book, "cats and dogs are friends"),
    ]
    assert found[0].score > found[1].score
    assert await search(gateway, name, "birds", threshold=0.9) == []
    removed = vector_stores_pb2.RemoveFilesRequest(vector_store_id=name, file_ids=[book])
    left = await gateway.vector_stores.RemoveFiles(removed, metadata=gateway.metadata())
    assert list(left.vector_store.file_ids) == [other]
    assert await search(gateway, name, "cats") == []
    deleted = vector_stores_pb2.DeleteVectorStoreRequest(vector_store_id=name)
    await gateway.vector_stores.DeleteVectorStore(deleted, metadata=gateway.metadata())
    assert await refused(get(gateway, name)) == "RESOURCE_NOT_FOUND"


async def test_a_file_is_brought_to_a_provider_once(gateway: RunningGateway) -> None:
    book = await upload(gateway)
    await make(gateway, book)
    (name,) = await copies_of(gateway, book)
    await make(gateway, book)
    assert await copies_of(gateway, book) == [name]


async def test_a_file_that_is_deleted_is_in_no_store(gateway: RunningGateway) -> None:
    book = await upload(gateway)
    store = await make(gateway, book)
    await gateway.files.DeleteFile(files_pb2.DeleteFileRequest(file_id=book), metadata=gateway.metadata())
    assert not (await get(gateway, store.vector_store_id)).file_ids


async def test_copies_go_behind_their_file(start_gateway: StartGateway, upstream: Upstream, database: Database) -> None:
    gateway = await start_gateway({"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": upstream.url})
    upstream.reply(json={"id": "file-1"})
    upstream.reply(json={"id": "vs_1"})
    book = await upload(gateway)
    await make(gateway, book, provider="openai")
    await gateway.files.DeleteFile(files_pb2.DeleteFileRequest(file_id=book), metadata=gateway.metadata())
    archive = Archive(Files(database), DatabaseContents(database))
    copies = Copies(archive, gateway.house.gateway.admission.routes)
    upstream.reply(status=500)
    await copies.sweep()
    assert await database.fetchval("SELECT count(*) FROM file_copy") == 1
    upstream.reply(json={"id": "file-1", "deleted": True})
    await copies.sweep()
    assert await database.fetchval("SELECT count(*) FROM file_copy") == 0
    assert (upstream.requests[-1].method, upstream.requests[-1].path) == ("DELETE", "/files/file-1")


async def test_no_copy_stays_of_a_file_that_goes_meanwhile(
    start_gateway: StartGateway, upstream: Upstream, database: Database
) -> None:
    class GoneMeanwhile(Files):
        async def note_copy(self, file_id: UUID, *about: Any) -> Copy:
            await database.execute("DELETE FROM file_piece WHERE file_id = $1", file_id)
            await database.execute("DELETE FROM file WHERE file_id = $1", file_id)
            return await super().note_copy(file_id, *about)

    gateway = await start_gateway({"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": upstream.url})
    book, tenant_id = await upload(gateway), await database.fetchval("SELECT tenant_id FROM tenant")
    routes = gateway.house.gateway.admission.routes
    copies = Copies(Archive(GoneMeanwhile(database), DatabaseContents(database)), routes)
    upstream.reply(json={"id": "file-1"})
    upstream.reply(json={"id": "file-1", "deleted": True})
    with pytest.raises(TrunklineError) as told:
        await copies.at(way_back(routes, "openai", OPERATORS), tenant_id, book, "assistants")
    assert told.value.reason is Reason.RESOURCE_NOT_FOUND
    assert (upstream.requests[-1].method, upstream.requests[-1].path) == ("DELETE", "/files/file-1")


async def test_a_store_that_goes_meanwhile_takes_no_file(database: Database) -> None:
    copy = Copy(uuid4(), "openai", OPERATORS, "assistants", "file-1", datetime.now(UTC))
    with pytest.raises(TrunklineError) as told:
        await VectorStores(database).add(uuid4(), copy)
    assert told.value.reason is Reason.RESOURCE_NOT_FOUND


async def test_openai_is_asked_as_it_wants(start_gateway: StartGateway, upstream: Upstream) -> None:
    gateway = await start_gateway({"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": upstream.url})
    book = await upload(gateway)
    upstream.reply(json={"id": "file-1"})
    upstream.reply(json={"id": "vs_1", "object": "vector_store"})
    name = (await make(gateway, book, provider="openai")).vector_store_id
    uploaded, created = upstream.requests
    assert b'name="purpose"\r\n\r\nassistants' in uploaded.body
    assert BOOK in uploaded.body
    assert (created.path, created.json()) == ("/vector_stores", {"name": "books", "file_ids": ["file-1"]})

    counts = {"in_progress": 1, "completed": 2, "failed": 1, "cancelled": 1, "total": 5}
    upstream.reply(json={"id": "vs_1", "usage_bytes": 77, "file_counts": counts})
    standing = (await get(gateway, name)).standing
    assert (standing.ready_count, standing.pending_count, standing.failed_count) == (2, 1, 2)
    assert standing.size_bytes == 77

    content = [{"type": "text", "text": "cats"}, {"type": "text", "text": "sleep"}]
    ours = {"file_id": "file-1", "filename": "book.txt", "score": 0.75, "attributes": {}, "content": content}
    upstream.reply(json={"data": [ours, {"file_id": "file-9", "score": 0.5}], "has_more": False})
    found = await search(gateway, name, "cats", limit=3, threshold=0.25)
    assert [(each.file_id, each.text, each.score) for each in found] == [(book, "cats\nsleep", 0.75), ("", "", 0.5)]
    assert upstream.requests[-1].path == "/vector_stores/vs_1/search"
    assert upstream.requests[-1].json() == {
        "query": "cats",
        "max_num_results": 3,
        "ranking_options": {"score_threshold": 0.25},
    }


async def test_a_store_stays_where_it_was_made(start_gateway: StartGateway, upstream: Upstream) -> None:
    """Deleted with the tenant's own key, it would be lost at the operator's."""
    gateway = await start_gateway({"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": upstream.url})
    upstream.reply(json={"id": "vs_1"})
    name = (await make(gateway, provider="openai")).vector_store_id
    own = providers_pb2.CreateProviderAccountRequest(provider="openai", name="own", api_key="own", make_default=True)
    await gateway.providers.CreateProviderAccount(own, metadata=gateway.metadata())
    upstream.reply(json={"id": "vs_1", "deleted": True})
    request = vector_stores_pb2.DeleteVectorStoreRequest(vector_store_id=name)
    await gateway.vector_stores.DeleteVectorStore(request, metadata=gateway.metadata())
    assert upstream.requests[-1].headers["authorization"] == "Bearer k"


async def test_a_store_that_its_provider_refuses_is_not_there(start_gateway: StartGateway, upstream: Upstream) -> None:
    gateway = await start_gateway({"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": upstream.url})
    upstream.reply(status=400, json={"error": {"message": "secret words", "code": "bad"}})
    assert await refused(make(gateway, provider="openai")) == "PROVIDER_REJECTED"
    request = vector_stores_pb2.ListVectorStoresRequest()
    assert not (await gateway.vector_stores.ListVectorStores(request, metadata=gateway.metadata())).vector_stores


@pytest.mark.parametrize(
    ("provider", "reason"),
    [("nobody", "RESOURCE_NOT_FOUND"), ("openai", "PROVIDER_DISABLED"), ("ollama", "CAPABILITY_UNSUPPORTED")],
)
async def test_who_has_no_stores(start_gateway: StartGateway, provider: str, reason: str) -> None:
    gateway = await start_gateway({"OLLAMA_BASE_URL": "http://127.0.0.1:1"})
    assert await refused(make(gateway, provider=provider)) == reason


async def test_lists_have_the_newest_first(gateway: RunningGateway) -> None:
    made = [(await make(gateway)).vector_store_id for _ in range(3)]
    request = vector_stores_pb2.ListVectorStoresRequest(page_size=2)
    first = await gateway.vector_stores.ListVectorStores(request, metadata=gateway.metadata())
    request.page_token = first.next_page_token
    second = await gateway.vector_stores.ListVectorStores(request, metadata=gateway.metadata())
    assert [each.vector_store_id for each in (*first.vector_stores, *second.vector_stores)] == made[::-1]


async def test_anothers_store_is_none(gateway: RunningGateway) -> None:
    book = await upload(gateway)
    name, foreign = (await make(gateway, book)).vector_store_id, await another_tenant(gateway)
    stub, request = gateway.vector_stores, vector_stores_pb2
    calls = (
        stub.GetVectorStore(request.GetVectorStoreRequest(vector_store_id=name), metadata=foreign),
        stub.DeleteVectorStore(request.DeleteVectorStoreRequest(vector_store_id=name), metadata=foreign),
        stub.AddFiles(request.AddFilesRequest(vector_store_id=name, file_ids=[book]), metadata=foreign),
        stub.RemoveFiles(request.RemoveFilesRequest(vector_store_id=name, file_ids=[book]), metadata=foreign),
        stub.SearchVectorStore(request.SearchVectorStoreRequest(vector_store_id=name, query="x"), metadata=foreign),
        stub.CreateVectorStore(
            request.CreateVectorStoreRequest(provider="sandbox", name="x", file_ids=[book]), metadata=foreign
        ),
    )
    for call in calls:
        assert await refused(call) == "RESOURCE_NOT_FOUND"


def searching(*names: object, type_: str = "file_search", **config: object) -> chat_pb2.CompleteRequest:
    """A question to OpenAI whose answer is looked for in these stores."""
    spelled = json.dumps({"vector_store_ids": names, **config})
    tool = content_pb2.Tool(hosted=content_pb2.HostedTool(provider="openai", type=type_, config_json=spelled))
    return chat_pb2.CompleteRequest(input=question("Cats?", "openai/gpt-4o", tools=[tool]))


async def sent(gateway: RunningGateway, upstream: Upstream, asked: chat_pb2.CompleteRequest) -> Any:
    """The tool as OpenAI gets it."""
    upstream.reply(status=400, json={"error": {"message": "enough", "code": "bad"}})
    assert await refused(gateway.chat.Complete(asked, metadata=gateway.metadata())) == "PROVIDER_REJECTED"
    (tool,) = upstream.requests[-1].json()["tools"]
    return tool


@pytest.fixture
async def at_openai(start_gateway: StartGateway, upstream: Upstream) -> RunningGateway:
    """With the operator's account there."""
    return await start_gateway({"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": upstream.url})


async def test_a_providers_file_search_looks_into_our_stores(at_openai: RunningGateway, upstream: Upstream) -> None:
    upstream.reply(json={"id": "vs_theirs"})
    store = await make(at_openai, provider="openai")
    tool = await sent(at_openai, upstream, searching(store.vector_store_id, max_num_results=3))
    assert tool == {"type": "file_search", "vector_store_ids": ["vs_theirs"], "max_num_results": 3}
    named_otherwise = searching(type_="web_search", type="file_search")
    assert (await sent(at_openai, upstream, named_otherwise))["type"] == "web_search"
    hidden = searching("vs_foreign", type_="web_search", type="file_search")
    assert await refused(at_openai.chat.Complete(hidden, metadata=at_openai.metadata())) == "CAPABILITY_UNSUPPORTED"


async def test_another_tenant_does_not_search_our_stores(at_openai: RunningGateway, upstream: Upstream) -> None:
    upstream.reply(json={"id": "vs_theirs"})
    store, near = await make(at_openai, provider="openai"), await make(at_openai)
    foreign = await another_tenant(at_openai)
    for name in (store.vector_store_id, "vs_theirs", "vs_unknown"):
        asked = at_openai.chat.Complete(searching(name), metadata=foreign)
        assert await refused(asked) == "RESOURCE_NOT_FOUND"
    for named in ("vs_theirs", near.vector_store_id):  # what the provider calls it, and one at another provider
        asked = at_openai.chat.Complete(searching(named), metadata=at_openai.metadata())
        assert await refused(asked) == "RESOURCE_NOT_FOUND"
    for names in ([[store.vector_store_id]], [store.vector_store_id] * 21):
        asked = at_openai.chat.Complete(searching(*names), metadata=at_openai.metadata())
        assert await refused(asked) == "VALIDATION"
    assert len(upstream.requests) == 1


async def test_with_its_own_key_a_tenant_names_what_it_has_there(at_openai: RunningGateway, upstream: Upstream) -> None:
    request = providers_pb2.CreateProviderAccountRequest(provider="openai", name="main", api_key="sk-own")
    await at_openai.providers.CreateProviderAccount(request, metadata=at_openai.metadata())
    assert (await sent(at_openai, upstream, searching("vs_mine")))["vector_store_ids"] == ["vs_mine"]
    assert upstream.requests[-1].headers["authorization"] == "Bearer sk-own"
