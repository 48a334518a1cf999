"""Collections, files and budgets with the Python client, over the socket."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.fixtures.gateway import RunningGateway
from tests.fixtures.library import BAKERY, HARBOUR, LIBRARY
from trunkline import AsyncTrunkline, LimitReached, NotFound, Trunkline, Unavailable, between, document, entry
from trunkline.errors import Facts
from trunkline.upload import PIECE_BYTES
from trunkline.v1 import files_pb2, files_pb2_grpc
from trunkline.waiting import Tries

PATIENCE_S = 40
BIG = bytes(range(256)) * (3 * PIECE_BYTES // 256) + b"end"


async def test_documents_are_found_by_what_they_mean(trunkline: AsyncTrunkline) -> None:
    town = await trunkline.collections.create("town", model="sandbox/embed", dimensions=64)

    put = await town.upsert({"harbour": HARBOUR, "bakery": BAKERY}, user="u1")
    again = await trunkline.collection("town").upsert({"harbour": HARBOUR})
    hits = await town.search(BAKERY, limit=1, user="u1")

    assert (put.embedded_count, again.unchanged_count, again.receipt.charge.nanos) == (2, 1, 0)
    assert [(hit.document_id, str(hit)) for hit in hits] == [("bakery", BAKERY)]
    assert hits[0].similarity == pytest.approx(1.0, abs=1e-5)
    assert hits.charge > 0
    assert [hit.document_id for hit in (await town.search(like="bakery"))[:]] == ["harbour"]
    assert [each.spec.name async for each in trunkline.collections.list()] == ["town"]
    answer = await trunkline.consult("town", limit=1).send(BAKERY)
    assert answer.completion.retrieved.sources[0].document_id == "bakery"


async def test_documents_are_chosen_by_what_is_known_of_them(trunkline: AsyncTrunkline) -> None:
    town = await trunkline.collections.create("town", model="sandbox/embed", dimensions=64)
    await town.upsert(
        [
            entry("harbour", HARBOUR, title="Boats", open=6, free=True, tags=["sea", "work"]),
            entry("bakery", [BAKERY], uri="https://example.com/bread", open=7, free=False),
            entry("library", LIBRARY, kind="books"),
        ]
    )

    async def found(**asked: object) -> set[str]:
        return {hit.document_id for hit in await town.search("the", mode="words", **asked)}  # type: ignore[arg-type]

    assert await found(where={"open": 6}) == {"harbour"}
    assert await found(where={"open": between(6, less_than=8)}) == {"harbour", "bakery"}
    assert await found(where={"tags": "sea"}) == await found(where={"free": True}) == {"harbour"}
    assert await found(where={"kind": ["books", "maps"]}) == {"library"}
    assert await found(unless={"open": between(more_than=6)}, where={"kind": None}) == {"harbour"}
    hit = (await town.search(HARBOUR, limit=1))[0]
    assert hit.facts == {"open": 6.0, "free": True, "tags": ["sea", "work"]}
    assert hit.title == "Boats"


async def test_a_collection_is_looked_at_and_emptied(trunkline: AsyncTrunkline) -> None:
    town = await trunkline.collections.create("town", model="sandbox/embed", dimensions=64)
    job = await town.submit({"harbour": HARBOUR, "bakery": BAKERY})

    assert (await job.wait(timeout_s=PATIENCE_S)).result.upsert.embedded_count == 2
    assert [each.document.document_id async for each in town.documents()] == ["bakery", "harbour"]
    assert (await town.get("bakery")).document.chunks == [BAKERY]
    assert await town.remove("bakery", "nothing") == 1
    assert (await town.describe()).document_count == 1
    await town.delete()
    with pytest.raises(NotFound):
        await town.describe()


async def test_files_go_up_and_down_and_into_questions(trunkline: AsyncTrunkline, tmp_path: Path) -> None:
    told = await trunkline.files.upload(BIG, name="big.bin", keep=timedelta(hours=1), labels={"for": "tests"})

    assert (told.state, told.spec.media_type) == (files_pb2.FILE_STATE_READY, "application/octet-stream")
    assert await trunkline.files.read(told) == BIG
    assert (await trunkline.files.save(told.file_id, tmp_path / "big.bin")).read_bytes() == BIG
    again = await trunkline.files.upload(io.BytesIO(b"hi"), name="a.txt", media_type="text/plain", request_id="one")
    assert (await trunkline.files.upload(b"hi", name="a.txt", request_id="one")).file_id == again.file_id
    assert document(again).document.blob.file_id == again.file_id
    assert [each.file_id async for each in trunkline.files.list()] == [again.file_id, told.file_id]
    assert (await trunkline.files.get(again.file_id)).spec.media_type == "text/plain"
    await trunkline.files.delete(told)
    with pytest.raises(NotFound):
        await trunkline.files.get(told)


class Breaking(files_pb2_grpc.FileServiceServicer):
    """Goes away in the middle of everything, once."""

    def __init__(self) -> None:
        self.had = b""
        self.heard: list[tuple[str, int]] = []

    async def UploadFile(self, request_iterator: Any, context: Any) -> files_pb2.UploadFileResponse:  # noqa: N802
        first = await anext(request_iterator)
        self.heard.append((first.WhichOneof("upload"), first.offset))
        async for piece in request_iterator:
            self.had += piece.data
            if len(self.heard) == 1:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "going away")
        return files_pb2.UploadFileResponse(file=files_pb2.File(file_id="file_1"))

    async def GetFile(self, request: Any, context: Any) -> files_pb2.GetFileResponse:  # noqa: N802
        return files_pb2.GetFileResponse(file=files_pb2.File(file_id="file_1", received_bytes=len(self.had)))

    async def ListFiles(self, request: Any, context: Any) -> files_pb2.ListFilesResponse:  # noqa: N802
        return files_pb2.ListFilesResponse()

    async def DeleteFile(self, request: Any, context: Any) -> files_pb2.DeleteFileResponse:  # noqa: N802
        return files_pb2.DeleteFileResponse()

    async def DownloadFile(self, request: Any, context: Any) -> AsyncIterator[files_pb2.DownloadFileResponse]:  # noqa: N802
        yield files_pb2.DownloadFileResponse(data=self.had[request.offset : request.offset + PIECE_BYTES])
        if not request.offset:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "going away")
        yield files_pb2.DownloadFileResponse(data=self.had[request.offset + PIECE_BYTES :])


async def test_a_file_goes_on_where_it_was() -> None:
    server, breaking = grpc.aio.server(), Breaking()
    files_pb2_grpc.add_FileServiceServicer_to_server(breaking, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with AsyncTrunkline(f"127.0.0.1:{port}", key="k") as trunkline:
            await trunkline.files.upload(BIG, name="big.bin")
            assert await trunkline.files.read("file_1") == BIG == breaking.had
    finally:
        await server.stop(None)
    assert breaking.heard == [("file", 0), ("file_id", PIECE_BYTES)]


def test_what_comes_no_further_is_given_up() -> None:
    tries, gone = Tries(), Unavailable("gone", Facts(retry_after_s=0.0))
    assert [tries.pause_s(gone, at) for at in (1, 1, 1, 1, 2, 2, 2, 2)] == [0.0] * 8
    with pytest.raises(Unavailable):
        tries.pause_s(gone, 2)


async def test_budgets_are_set_and_looked_at(trunkline: AsyncTrunkline) -> None:
    await trunkline.budgets.set("daily", "0.001", period="day", user="*", hard=True, thresholds=[50])
    answer = await trunkline.user("u1").max_tokens(2).send("hi")

    (spending,) = await trunkline.budgets.spending(user="u1")

    assert (spending.budget, spending.user, spending.spent) == ("daily", "u1", answer.charge)
    assert spending.remaining == Decimal("0.001") - answer.charge
    assert spending.ends > datetime.now(UTC)
    with pytest.raises(LimitReached, match="BUDGET_EXCEEDED"):
        await trunkline.user("u1").max_tokens(100_000).send("hi")
    assert [budget.name async for budget in trunkline.budgets.list()] == ["daily"]
    await trunkline.budgets.delete("daily")
    assert [budget async for budget in trunkline.budgets.list()] == []


async def test_the_synchronous_client_has_the_same_words(gateway: RunningGateway) -> None:
    def work() -> None:
        with Trunkline(gateway.house.grpc_address, key=gateway.key) as trunkline:
            told = trunkline.files.upload(BIG, name="big.bin")
            assert b"".join(trunkline.files.download(told)) == BIG
            trunkline.collections.create("town", model="sandbox/embed", dimensions=64).upsert({"bakery": BAKERY})
            assert [hit.document_id for hit in trunkline.collection("town").search(BAKERY)] == ["bakery"]
            assert trunkline.tasks.classify("hello", ["a", "b"], model="sandbox/json").value.label in {"a", "b"}
            assert [each.name for each in trunkline.budgets.list()] == []

    await asyncio.to_thread(work)
