"""Files of a question that a provider searches in, in place of reading them whole: over the socket, OpenAI scripted."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import grpc
import pytest

from tests.fixtures.gateway import RunningGateway, StartGateway, question, reason_of, text_of
from tests.fixtures.jobs import create, ended
from tests.fixtures.talks import another_tenant
from tests.fixtures.upstream import Answer, Received, Upstream
from trunkline.v1 import chat_pb2, content_pb2, files_pb2, jobs_pb2
from trunkline_server.gateway.copies import Copies
from trunkline_server.gateway.file_stores import FileStores
from trunkline_server.store.archive import Archive
from trunkline_server.store.database import Database
from trunkline_server.store.database_contents import DatabaseContents
from trunkline_server.store.files import Files
from trunkline_server.store.search_stores import SearchStores

MODEL = "openai/gpt-4o"
USAGE = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}
SAID = {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "Cats."}]}
ANSWER = {"id": "resp_1", "object": "response", "status": "completed", "output": [SAID], "usage": USAGE}


@pytest.fixture
async def gateway(start_gateway: StartGateway, upstream: Upstream) -> RunningGateway:
    """With the operator's account at OpenAI."""
    return await start_gateway({"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": upstream.url})


@pytest.fixture
def stores(gateway: RunningGateway, database: Database) -> FileStores:
    """As the chore has them."""
    archive = Archive(Files(database), DatabaseContents(database))
    return FileStores(SearchStores(database), Copies(archive, gateway.house.gateway.admission.routes))


async def upload(gateway: RunningGateway, data: bytes = b"cats sleep", media_type: str = "text/plain") -> str:
    spec = files_pb2.FileSpec(filename="book", media_type=media_type)
    first = files_pb2.UploadFileRequest(file=spec, data=data)
    return (await gateway.files.UploadFile(iter([first]), metadata=gateway.metadata())).file.file_id


def asking(*file_ids: str, model: str = MODEL, **fields: Any) -> chat_pb2.ChatInput:
    return question("Who sleeps?", model, file_ids=file_ids, file_search=True, **fields)


async def ask(gateway: RunningGateway, input: chat_pb2.ChatInput) -> chat_pb2.Completion:
    done = await gateway.chat.Complete(chat_pb2.CompleteRequest(input=input), metadata=gateway.metadata())
    return done.completion


async def refused(gateway: RunningGateway, input: chat_pb2.ChatInput, metadata: Any = None) -> str:
    call = gateway.chat.Complete(chat_pb2.CompleteRequest(input=input), metadata=metadata or gateway.metadata())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return reason_of(caught.value)


def made(upstream: Upstream, store: str = "vs_1", *, files: int = 1) -> None:
    """A store that is there, and read."""
    upstream.reply(json={"id": store, "status": "in_progress"})
    shown(upstream, completed=files)


def shown(upstream: Upstream, status: str = "completed", **counts: int) -> None:
    upstream.reply(json={"id": "vs", "status": status, "file_counts": counts})


def asked_since(upstream: Upstream, count: int = 0) -> list[str]:
    return [f"{each.method} {each.path}" for each in upstream.requests[count:]]


async def test_files_are_searched_in_a_store_that_later_calls_find(gateway: RunningGateway, upstream: Upstream) -> None:
    one, two = await upload(gateway), await upload(gateway)
    for reply in ({"id": "file-1"}, {"id": "file-2"}, {"id": "vs_1", "status": "in_progress"}):
        upstream.reply(json=reply)
    shown(upstream, "in_progress", completed=1, in_progress=1)
    shown(upstream, completed=2)
    upstream.reply(json=ANSWER)
    done = await ask(gateway, asking(one, two))
    assert text_of(done) == "Cats."
    assert not done.warnings
    shows = ["GET /vector_stores/vs_1"] * 2
    assert asked_since(upstream) == ["POST /files", "POST /files", "POST /vector_stores", *shows, "POST /responses"]
    created, sent = upstream.requests[2].json(), upstream.requests[-1]
    assert created["file_ids"] == ["file-1", "file-2"]
    assert created["expires_after"] == {"anchor": "last_active_at", "days": 10}
    assert sent.json()["tools"] == [{"type": "file_search", "vector_store_ids": ["vs_1"]}]
    assert b"cats sleep" not in sent.body

    upstream.reply(json=ANSWER)
    config = json.dumps({"vector_store_ids": ["vs_more"], "max_num_results": 3})
    tool = content_pb2.HostedTool(provider="openai", type="file_search", config_json=config)
    await ask(gateway, asking(two, one, one, tools=[content_pb2.Tool(hosted=tool)]))
    assert asked_since(upstream, 6) == ["POST /responses"]
    (both,) = upstream.requests[-1].json()["tools"]
    assert both == {"type": "file_search", "vector_store_ids": ["vs_more", "vs_1"], "max_num_results": 3}

    upstream.reply(json=ANSWER)
    job = await ended(gateway, (await create(gateway, jobs_pb2.JobSpec(chat=asking(one, two)))).job_id)
    assert job.state == jobs_pb2.JOB_STATE_SUCCEEDED, job.error
    assert upstream.requests[-1].json()["tools"] == sent.json()["tools"]


async def test_of_two_who_make_the_same_store_one_counts(
    gateway: RunningGateway, upstream: Upstream, database: Database
) -> None:
    asked, both_make = asking(await upload(gateway)), asyncio.Event()
    names = iter(("vs_one", "vs_two"))

    def answer(request: Received) -> Answer:
        match request.method, request.path:
            case "POST", "/vector_stores":
                name = next(names)
                if name == "vs_two":
                    both_make.set()
                created = upstream.whole(json={"id": name})
                return Answer([both_make, *created.steps])
            case "GET", _:
                return upstream.whole(json={"status": "completed", "file_counts": {"completed": 1}})
            case "POST", "/responses":
                return upstream.whole(json=ANSWER)
            case _:
                return upstream.whole(json={"id": "file-1"})

    upstream.respond(answer)
    await asyncio.gather(ask(gateway, asked), ask(gateway, asked))
    (kept,) = [row[0] for row in await database.fetch("SELECT provider_store_id FROM search_store")]
    (other,) = {"vs_one", "vs_two"} - {kept}
    deleted = [each.path for each in upstream.requests if each.method == "DELETE"]
    assert deleted == [f"/vector_stores/{other}"]
    searched = [each.json()["tools"][0]["vector_store_ids"] for each in upstream.requests if each.path == "/responses"]
    assert searched == [[kept], [kept]]


async def test_a_store_goes_with_a_file_of_it_or_out_of_use(
    gateway: RunningGateway, upstream: Upstream, stores: FileStores, database: Database
) -> None:
    one, two = await upload(gateway), await upload(gateway)
    for name, files in (("vs_both", (one, two)), ("vs_two", (two,))):
        for file_id in files if name == "vs_both" else ():
            upstream.reply(json={"id": f"theirs-{file_id}"})
        made(upstream, name, files=len(files))
        upstream.reply(json=ANSWER)
        await ask(gateway, asking(*files))
    await gateway.files.DeleteFile(files_pb2.DeleteFileRequest(file_id=one), metadata=gateway.metadata())
    count = len(upstream.requests)
    upstream.reply(status=500)
    await stores.sweep()
    upstream.reply(json={"deleted": True})
    await stores.sweep()
    await database.execute("UPDATE search_store SET use_time = use_time - interval '8 days'")
    upstream.reply(status=404)
    await stores.sweep()
    await stores.sweep()
    names = ("vs_both", "vs_both", "vs_two")
    assert asked_since(upstream, count) == [f"DELETE /vector_stores/{name}" for name in names]


async def test_a_store_that_its_provider_lost_is_made_again(
    gateway: RunningGateway, upstream: Upstream, database: Database
) -> None:
    book = await upload(gateway)
    upstream.reply(json={"id": "file-1"})
    made(upstream)
    upstream.reply(json=ANSWER)
    await ask(gateway, asking(book))
    for lost in ({"status": 404}, {"json": {"id": "vs", "status": "expired"}}):
        await database.execute("UPDATE search_store SET ready_time = ready_time - interval '2 hours'")
        upstream.reply(**lost)
        made(upstream, "vs_new")
        upstream.reply(json=ANSWER)
        await ask(gateway, asking(book))
        assert upstream.requests[-1].json()["tools"][0]["vector_store_ids"] == ["vs_new"]


async def test_what_cannot_be_read_is_told(gateway: RunningGateway, upstream: Upstream, stores: FileStores) -> None:
    upstream.reply(json={"id": "file-1"})
    upstream.reply(json={"id": "vs_1"})
    shown(upstream, failed=1)
    assert await refused(gateway, asking(await upload(gateway))) == "MEDIA_INVALID"
    upstream.reply(json={"deleted": True})
    await stores.sweep()
    assert asked_since(upstream, 3) == ["DELETE /vector_stores/vs_1"]


async def test_nobody_else_answers_and_pictures_go_along(gateway: RunningGateway, upstream: Upstream) -> None:
    picture = await upload(gateway, b"GIF89a" + b"\3\0\2\0" + b"\0\0\0;", "image/gif")
    upstream.reply(json={"id": "file-1"})
    made(upstream)
    upstream.reply(status=401, json={"error": {"message": "secret words"}})
    elsewhere = chat_pb2.Routing(fallback_models=["sandbox/echo"])
    asked = asking(await upload(gateway), picture, routing=elsewhere)
    assert await refused(gateway, asked) == "PROVIDER_CREDENTIALS"
    assert b"data:image/gif" in upstream.requests[-1].body


async def test_quotes_and_counts_make_nothing(gateway: RunningGateway, upstream: Upstream, database: Database) -> None:
    asked = asking(await upload(gateway))
    await gateway.chat.Quote(chat_pb2.QuoteRequest(input=asked), metadata=gateway.metadata())
    upstream.reply(json={"input_tokens": 9})
    await gateway.chat.CountTokens(chat_pb2.CountTokensRequest(input=asked), metadata=gateway.metadata())
    assert asked_since(upstream) == ["POST /responses/input_tokens"]
    assert not await database.fetchval("SELECT count(*) FROM search_store")


async def test_where_nobody_searches_the_files_go_along(gateway: RunningGateway) -> None:
    asked = asking(await upload(gateway), model="sandbox/echo")
    (warning,) = (await ask(gateway, asked)).warnings
    assert (warning.code, warning.field) == (chat_pb2.WARNING_CODE_PARAMETER_DROPPED, "input.file_search")
    asked.strict_parameters = True
    assert await refused(gateway, asked) == "PARAMETER_UNSUPPORTED"


async def test_anothers_files_are_not_searched(gateway: RunningGateway, upstream: Upstream) -> None:
    book, foreign = await upload(gateway), await another_tenant(gateway)
    upstream.reply(json={"id": "file-1"})
    made(upstream)
    upstream.reply(json=ANSWER)
    await ask(gateway, asking(book))
    count = len(upstream.requests)
    assert await refused(gateway, asking(book), foreign) == "RESOURCE_NOT_FOUND"
    assert len(upstream.requests) == count
