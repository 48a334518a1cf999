"""Files over the socket: uploaded in pieces, gone on with, read, deleted."""

from __future__ import annotations

import asyncio
import hashlib
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from tests.fixtures.bucket import open_bucket
from tests.fixtures.gateway import RunningGateway, StartGateway, detail_of, question, reason_of, text_of
from tests.fixtures.talks import another_tenant
from tests.fixtures.until import until
from tests.fixtures.upstream import Upstream
from trunkline.v1 import chat_pb2, content_pb2, files_pb2
from trunkline_server.store.archive import Archive
from trunkline_server.store.contents import PIECE_BYTES
from trunkline_server.store.database import Database
from trunkline_server.store.database_contents import DatabaseContents
from trunkline_server.store.files import Files

NOW = timedelta()


def pattern(size: int, seed: int = 1) -> bytes:
    """Bytes of which no two pieces are alike."""
    return b"".join(f"{seed}-{line:011d}\n".encode() for line in range(size // 14 + 1))[:size]


def spec(data: bytes = b"", **fields: Any) -> files_pb2.FileSpec:
    given: dict[str, Any] = {"filename": "deed.txt", "media_type": "text/plain", "size_bytes": len(data)} | fields
    return files_pb2.FileSpec(**given)


def messages(data: bytes, *first: files_pb2.UploadFileRequest) -> Iterator[files_pb2.UploadFileRequest]:
    yield from first
    for begin in range(0, len(data), 1_000_000):
        yield files_pb2.UploadFileRequest(data=data[begin : begin + 1_000_000])


async def upload(gateway: RunningGateway, data: bytes, key: str = "", **fields: Any) -> files_pb2.File:
    """A whole file, in one go."""
    request_id = fields.pop("request_id", "")
    first = files_pb2.UploadFileRequest(file=spec(data, **fields), request_id=request_id)
    answer = await gateway.files.UploadFile(messages(data, first), metadata=gateway.metadata(key=key))
    return answer.file


async def begin(gateway: RunningGateway, data: bytes, request_id: str = "", **fields: Any) -> files_pb2.File:
    """An upload whose caller goes away once its first piece is safe."""
    hold = asyncio.Event()

    async def some() -> AsyncIterator[files_pb2.UploadFileRequest]:
        yield files_pb2.UploadFileRequest(file=spec(data, **fields), request_id=request_id)
        for message in messages(data[: PIECE_BYTES + 1000]):
            yield message
        await hold.wait()

    call = gateway.files.UploadFile(some(), metadata=gateway.metadata())
    file = await until_there(gateway, PIECE_BYTES)
    call.cancel()
    return file


async def until_there(gateway: RunningGateway, size: int) -> files_pb2.File:
    """The newest file, once it has as many bytes."""
    found: list[files_pb2.File] = []

    async def has_them() -> bool:
        listed = await gateway.files.ListFiles(files_pb2.ListFilesRequest(), metadata=gateway.metadata())
        found[:] = [each for each in listed.files if each.received_bytes >= size]
        return bool(found)

    await until(has_them, 30)
    return found[0]


async def download(gateway: RunningGateway, file_id: str, offset: int = 0) -> tuple[files_pb2.File, bytes]:
    request = files_pb2.DownloadFileRequest(file_id=file_id, offset=offset)
    parts = [part async for part in gateway.files.DownloadFile(request, metadata=gateway.metadata())]
    assert all(part.WhichOneof("part") == "data" for part in parts[1:])
    return parts[0].file, b"".join(part.data for part in parts[1:])


async def get(gateway: RunningGateway, key: str = "", **which: Any) -> files_pb2.File:
    request = files_pb2.GetFileRequest(**which)
    return (await gateway.files.GetFile(request, metadata=gateway.metadata(key=key))).file


def archive(database: Database) -> Archive:
    return Archive(Files(database), DatabaseContents(database))


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES])
async def test_what_goes_in_comes_out(gateway: RunningGateway, size: int) -> None:
    data = pattern(size)
    file = await upload(gateway, data, sha256=hashlib.sha256(data).hexdigest(), labels={"of": "ada"})
    assert (file.state, file.received_bytes) == (files_pb2.FILE_STATE_READY, size)
    assert file.sha256 == hashlib.sha256(data).hexdigest()
    told, came = await download(gateway, file.file_id)
    assert came == data
    assert told == file == await get(gateway, file_id=file.file_id)
    assert told.spec.labels == {"of": "ada"}


@pytest.mark.parametrize("offset", [0, 5, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 7])
async def test_a_download_begins_anywhere(gateway: RunningGateway, offset: int) -> None:
    data = pattern(PIECE_BYTES + 7)
    file = await upload(gateway, data)
    assert (await download(gateway, file.file_id, offset))[1] == data[offset:]


async def test_a_download_does_not_begin_behind_the_end(gateway: RunningGateway) -> None:
    file = await upload(gateway, b"words")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await download(gateway, file.file_id, 6)
    assert reason_of(caught.value) == "VALIDATION"


async def test_an_upload_that_broke_off_goes_on(gateway: RunningGateway) -> None:
    data = pattern(2 * PIECE_BYTES + 100)
    digest = hashlib.sha256(data).hexdigest()
    begun = await begin(gateway, data, sha256=digest)
    assert begun.state == files_pb2.FILE_STATE_UPLOADING
    there = begun.received_bytes
    first = files_pb2.UploadFileRequest(file_id=begun.file_id, offset=there)
    answer = await gateway.files.UploadFile(messages(data[there:], first), metadata=gateway.metadata())
    assert (answer.file.file_id, answer.file.sha256) == (begun.file_id, digest)
    assert (await download(gateway, begun.file_id))[1] == data


async def test_the_same_upload_sent_again_goes_on_in_its_file(gateway: RunningGateway) -> None:
    data = pattern(2 * PIECE_BYTES + 100)
    begun = await begin(gateway, data, request_id="one")
    asked = await get(gateway, upload_request_id="one")
    assert (asked.file_id, asked.state) == (begun.file_id, files_pb2.FILE_STATE_UPLOADING)
    again = await upload(gateway, data, request_id="one")
    assert (again.file_id, again.sha256) == (begun.file_id, hashlib.sha256(data).hexdigest())
    assert (await download(gateway, begun.file_id))[1] == data
    assert (await upload(gateway, data, request_id="one")) == again == await get(gateway, upload_request_id="one")


async def test_a_request_id_is_good_for_one_file(gateway: RunningGateway) -> None:
    await upload(gateway, b"words", request_id="one")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await upload(gateway, b"other words", request_id="one")
    assert reason_of(caught.value) == "IDEMPOTENCY_KEY_REUSED"


async def test_bytes_that_are_missing_are_told_and_can_follow(gateway: RunningGateway) -> None:
    first = files_pb2.UploadFileRequest(file=spec(b"0123456789"), data=b"0123")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await gateway.files.UploadFile(iter([first]), metadata=gateway.metadata())
    facts = detail_of(caught.value, error_details_pb2.ErrorInfo).metadata
    assert facts["receivedBytes"] == "4"
    rest = files_pb2.UploadFileRequest(file_id=facts["fileId"], offset=2, data=b"23456789")
    await gateway.files.UploadFile(iter([rest]), metadata=gateway.metadata())
    assert (await download(gateway, facts["fileId"]))[1] == b"0123456789"


async def test_a_gap_is_refused_whatever_follows_it(gateway: RunningGateway) -> None:
    first = files_pb2.UploadFileRequest(file=spec(b"0123456789"), offset=3, data=b"3456789")
    sent = [first, files_pb2.UploadFileRequest(offset=-1)]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await gateway.files.UploadFile(iter(sent), metadata=gateway.metadata())
    assert reason_of(caught.value) == "VALIDATION"
    assert detail_of(caught.value, error_details_pb2.ErrorInfo).metadata["receivedBytes"] == "0"


@pytest.mark.parametrize("fields", [{"sha256": "0" * 64}, {"size_bytes": 3}], ids=("checksum", "size"))
async def test_a_file_that_is_not_what_was_told_is_forgotten(gateway: RunningGateway, fields: dict[str, Any]) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await upload(gateway, b"words", **fields)
    assert reason_of(caught.value) == "MEDIA_INVALID"
    listed = await gateway.files.ListFiles(files_pb2.ListFilesRequest(), metadata=gateway.metadata())
    assert not listed.files


@pytest.mark.parametrize(
    "sent",
    [
        [],
        [files_pb2.UploadFileRequest(data=b"words")],
        [files_pb2.UploadFileRequest(file=spec()), files_pb2.UploadFileRequest(file=spec())],
        [files_pb2.UploadFileRequest(file=spec()), files_pb2.UploadFileRequest(offset=1, data=b"words")],
        [files_pb2.UploadFileRequest(file=spec(filename="../deed"))],
        [files_pb2.UploadFileRequest(file=spec(sha256="abc"))],
    ],
    ids=("nothing", "no file", "two files", "an offset later", "a path", "no checksum"),
)
async def test_an_upload_that_makes_no_sense_is_refused(
    gateway: RunningGateway, sent: list[files_pb2.UploadFileRequest]
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await gateway.files.UploadFile(iter(sent), metadata=gateway.metadata())
    assert reason_of(caught.value) == "VALIDATION"


async def test_of_two_who_send_the_same_one_wins(gateway: RunningGateway) -> None:
    data = pattern(3 * PIECE_BYTES)
    both = await asyncio.gather(
        upload(gateway, data, request_id="one"), upload(gateway, data, request_id="one"), return_exceptions=True
    )
    failed = [each for each in both if isinstance(each, grpc.aio.AioRpcError)]
    assert len(failed) < 2
    # grpcio's own word where it was still sending
    assert all(each.code() in (grpc.StatusCode.ABORTED, grpc.StatusCode.INTERNAL) for each in failed)
    file = await get(gateway, upload_request_id="one")
    assert (await download(gateway, file.file_id))[1] == data


async def test_lists_have_the_newest_first(gateway: RunningGateway) -> None:
    made = [(await upload(gateway, b"words")).file_id for _ in range(3)]
    request = files_pb2.ListFilesRequest(page_size=2)
    first = await gateway.files.ListFiles(request, metadata=gateway.metadata())
    request.page_token = first.next_page_token
    second = await gateway.files.ListFiles(request, metadata=gateway.metadata())
    assert [file.file_id for file in (*first.files, *second.files)] == made[::-1]
    assert not second.next_page_token


async def test_what_is_deleted_is_gone_with_its_bytes(gateway: RunningGateway, database: Database) -> None:
    file = await upload(gateway, pattern(PIECE_BYTES + 1))
    await gateway.files.DeleteFile(files_pb2.DeleteFileRequest(file_id=file.file_id), metadata=gateway.metadata())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await get(gateway, file_id=file.file_id)
    assert reason_of(caught.value) == "RESOURCE_NOT_FOUND"
    await archive(database).sweep(settled=NOW)
    assert await database.fetchval("SELECT count(*) FROM file") == 0
    assert await database.fetchval("SELECT count(*) FROM pg_largeobject_metadata") == 0


async def test_files_expire_and_unfinished_ones_too(gateway: RunningGateway, database: Database) -> None:
    kept = await upload(gateway, b"words")
    over = await upload(gateway, b"words", ttl={"seconds": 60})
    assert over.expire_time.seconds - over.create_time.seconds == 60
    await begin(gateway, pattern(2 * PIECE_BYTES))
    await database.execute("UPDATE file SET expire_time = now() WHERE expire_time IS NOT NULL")
    with pytest.raises(grpc.aio.AioRpcError):
        await get(gateway, file_id=over.file_id)
    await archive(database).sweep(unfinished=NOW, settled=NOW)
    listed = await gateway.files.ListFiles(files_pb2.ListFilesRequest(), metadata=gateway.metadata())
    assert [file.file_id for file in listed.files] == [kept.file_id]


async def test_the_name_of_an_upload_is_free_once_its_file_is_over(gateway: RunningGateway, database: Database) -> None:
    over = await upload(gateway, b"words", request_id="one", ttl={"seconds": 60})
    await database.execute("UPDATE file SET expire_time = now()")
    again = await upload(gateway, b"words", request_id="one", ttl={"seconds": 60})
    assert again.file_id != over.file_id


async def test_anothers_file_is_none(gateway: RunningGateway) -> None:
    file, metadata = await upload(gateway, b"words", request_id="one"), await another_tenant(gateway)
    calls = (
        gateway.files.GetFile(files_pb2.GetFileRequest(file_id=file.file_id), metadata=metadata),
        gateway.files.GetFile(files_pb2.GetFileRequest(upload_request_id="one"), metadata=metadata),
        gateway.files.DeleteFile(files_pb2.DeleteFileRequest(file_id=file.file_id), metadata=metadata),
        gateway.files.UploadFile(iter([files_pb2.UploadFileRequest(file_id=file.file_id)]), metadata=metadata),
        gateway.files.DownloadFile(files_pb2.DownloadFileRequest(file_id=file.file_id), metadata=metadata).read(),
        gateway.chat.Complete(chat_pb2.CompleteRequest(input=about(file)), metadata=metadata),
    )
    for call in calls:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert reason_of(caught.value) == "RESOURCE_NOT_FOUND"
    assert (await get(gateway, file_id=file.file_id)) == file


def about(file: files_pb2.File) -> chat_pb2.ChatInput:
    """A question with a document that was uploaded."""
    asked = question("What does it say?")
    blob = content_pb2.Blob(file_id=file.file_id)
    asked.messages[0].parts.add(document=content_pb2.DocumentPart(blob=blob))
    return asked


async def test_a_message_has_a_file_by_its_id(start_gateway: StartGateway) -> None:
    answer = {"id": "x", "choices": [{"index": 0, "message": {"role": "assistant", "content": "A deed."}}]}
    async with Upstream() as upstream:
        upstream.reply(json=answer)
        gateway = await start_gateway({"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": upstream.url})
        file = await upload(gateway, b"%PDF-1.7 deed", filename="deed.pdf", media_type="application/pdf")
        asked = about(file)
        asked.model = "openai/gpt-4o"
        done = await gateway.chat.Complete(chat_pb2.CompleteRequest(input=asked), metadata=gateway.metadata())
        assert text_of(done.completion) == "A deed."
        assert b"JVBERi0xLjcgZGVlZA==" in upstream.requests[0].body


async def test_files_go_with_a_question(start_gateway: StartGateway) -> None:
    answer = {"id": "x", "choices": [{"index": 0, "message": {"role": "assistant", "content": "Both."}}]}
    gif = b"GIF89a\x03\0\x02\0\0\0\0;"
    async with Upstream() as upstream:
        upstream.reply(json=answer)
        gateway = await start_gateway({"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": upstream.url})
        deed = await upload(gateway, b"%PDF-1.7 deed", filename="deed.pdf", media_type="application/pdf")
        dot = await upload(gateway, gif, filename="dot.gif", media_type="image/gif")
        asked = question("What are they?", "openai/gpt-4o", file_ids=[deed.file_id, dot.file_id])
        done = await gateway.chat.Complete(chat_pb2.CompleteRequest(input=asked), metadata=gateway.metadata())
        assert text_of(done.completion) == "Both."
        words, document, picture = upstream.requests[0].json()["messages"][0]["content"]
    assert words == {"type": "text", "text": "What are they?"}
    assert document["file"]["filename"] == "deed.pdf"
    assert document["file"]["file_data"].endswith("JVBERi0xLjcgZGVlZA==")
    assert picture["image_url"]["url"].startswith("data:image/gif;base64,")


async def test_files_that_cannot_go_with_a_question(gateway: RunningGateway) -> None:
    missing = question("Hi", file_ids=[f"file_{'0' * 32}"])
    unfinished = question("Hi", file_ids=[(await begin(gateway, pattern(2 * PIECE_BYTES))).file_id])
    wrong = question("Hi", file_ids=[(await upload(gateway, b"no picture", media_type="image/png")).file_id])
    alone = question("Hi", file_ids=missing.file_ids)
    alone.messages[0].role = content_pb2.ROLE_ASSISTANT
    for asked, reason in (
        (missing, "RESOURCE_NOT_FOUND"),
        (unfinished, "VALIDATION"),
        (wrong, "MEDIA_INVALID"),
        (alone, "VALIDATION"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await gateway.chat.Complete(chat_pb2.CompleteRequest(input=asked), metadata=gateway.metadata())
        assert reason_of(caught.value) == reason


async def test_a_large_file_is_never_held_whole(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(files={"store": "folder"})
    size, block = 48 * 1024 * 1024, pattern(1024 * 1024)

    def sent() -> Iterator[files_pb2.UploadFileRequest]:
        yield files_pb2.UploadFileRequest(file=files_pb2.FileSpec(filename="large", size_bytes=size))
        for _ in range(size // len(block)):
            yield files_pb2.UploadFileRequest(data=block)

    tracemalloc.start()
    try:
        file = (await gateway.files.UploadFile(sent(), metadata=gateway.metadata())).file
        request = files_pb2.DownloadFileRequest(file_id=file.file_id)
        parts = gateway.files.DownloadFile(request, metadata=gateway.metadata())
        came = sum([len(part.data) async for part in parts])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert came == size
    assert peak < size * 2 // 3


async def test_files_can_lie_in_a_bucket(start_gateway: StartGateway) -> None:
    data = pattern(PIECE_BYTES + 1)
    async with open_bucket() as bucket:
        given = bucket.settings
        gateway = await start_gateway(
            files={
                "store": "bucket",
                "bucket": given.bucket,
                "bucket_endpoint": given.endpoint,
                "bucket_region": given.region,
                "bucket_access_key": given.access_key,
                "bucket_secret_key": given.secret_key,
                "bucket_prefix": given.prefix,
            }
        )
        file = await upload(gateway, data)
        assert sorted(map(len, bucket.objects.values())) == [1, PIECE_BYTES]
        assert (await download(gateway, file.file_id))[1] == data
        bucket.failing = 503
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await download(gateway, file.file_id)
        assert reason_of(caught.value) == "STORE_UNAVAILABLE"
