"""Datasets over the socket: made of what was said."""

from __future__ import annotations

import json
from typing import Any

import grpc
import pytest

from tests.fixtures import jobs
from tests.fixtures.books import Books
from tests.fixtures.gateway import RunningGateway, reason_of
from tests.fixtures.talks import Speaker, another_tenant
from trunkline.v1 import files_pb2, fine_tuning_pb2


async def make(gateway: RunningGateway, **fields: Any) -> fine_tuning_pb2.CreateDatasetResponse:
    metadata = fields.pop("metadata", None) or gateway.metadata()
    request = fine_tuning_pb2.CreateDatasetRequest(name="deeds", **fields)
    return await gateway.fine_tuning.CreateDataset(request, metadata=metadata)


async def read(gateway: RunningGateway, file_id: str) -> list[Any]:
    """What is in it."""
    request, data = files_pb2.DownloadFileRequest(file_id=file_id), b""
    async for part in gateway.files.DownloadFile(request, metadata=gateway.metadata()):
        data += part.data
    return [json.loads(line) for line in data.splitlines()]


async def test_conversations_are_examples(books: Books, gateway: RunningGateway) -> None:
    ada = Speaker(gateway, "ada")
    first, silent = await ada.begin(system_prompt="be brief"), await ada.begin()
    await ada.ask(first, "hello", "sandbox/echo")
    await ada.ask(first, "again", "sandbox/echo")
    made = await make(gateway, conversations={"user_id": "ada"}, model="sandbox/echo", request_id="once")
    assert (made.report.valid, made.report.example_count, made.report.skipped_count) == (True, 1, 1)
    assert made.report.charge.nanos > 0
    [example] = await read(gateway, made.file_id)
    said = [(each["role"], each["content"]) for each in example["messages"]]
    assert said == [
        ("system", "be brief"),
        ("user", "hello"),
        ("assistant", "hello"),
        ("user", "again"),
        ("assistant", "again"),
    ]
    assert (await make(gateway, conversations={"user_id": "ada"}, model="sandbox/echo", request_id="once")) == made
    stranger = await another_tenant(gateway)
    for source, metadata in (({"conversation_ids": [first]}, stranger), ({"conversation_ids": [silent]}, None)):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await make(gateway, conversations=source, metadata=metadata)
        assert reason_of(caught.value) == "RESOURCE_NOT_FOUND"


async def test_chat_jobs_are_examples(books: Books, gateway: RunningGateway) -> None:
    for text, label in (("one", "yes"), ("two", "no"), ("three", "yes")):
        made = await jobs.create(gateway, jobs.spec(text), labels={"good": label})
        await jobs.ended(gateway, made.job_id)
    dataset = await make(gateway, jobs={"user_id": jobs.USER, "labels": {"good": "yes"}})
    examples = await read(gateway, dataset.file_id)
    assert [each["messages"][0]["content"] for each in examples] == ["three", "one"]
    assert [each["messages"][1]["content"] for each in examples] == ["three", "one"]
    assert not dataset.report.HasField("charge")
    newest = await make(gateway, jobs={}, example_count_max=1)
    assert newest.report.example_count == 1
