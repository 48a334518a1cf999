"""Documents that are put in by a job: reserved, embedded, paid for once, and watched like any job."""

from __future__ import annotations

from typing import Final

import pytest

from tests.fixtures.gateway import RunningGateway
from tests.fixtures.jobs import ended
from tests.fixtures.library import BAKERY, HARBOUR, Reader, document, town
from tests.fixtures.refusal import Refusal, invalid, refusal
from trunkline.v1 import admin_pb2, collections_pb2, jobs_pb2, retrieval_pb2
from trunkline_server.store import reconciliation
from trunkline_server.store.database import Database

MISSING: Final = Refusal("PERMISSION_DENIED", "SCOPE_MISSING")


async def order(reader: Reader, *documents: collections_pb2.Document, request_id: str = "") -> str:
    input = collections_pb2.UpsertInput(collection=reader.name, documents=documents)
    request = collections_pb2.UpsertDocumentsRequest(input=input, background=True, request_id=request_id)
    return (await reader.gateway.collections.UpsertDocuments(request, metadata=reader.metadata)).job_id


async def test_a_job_puts_them_in_and_pays_for_new_words_alone(database: Database, gateway: RunningGateway) -> None:
    reader = await town(gateway)
    new = [document("harbour", HARBOUR), document("bakery", BAKERY + " Closed on Mondays.")]
    job = await ended(gateway, await order(reader, *new))

    assert job.state == jobs_pb2.JOB_STATE_SUCCEEDED
    assert (job.result.upsert.embedded_count, job.result.upsert.unchanged_count) == (1, 1)
    assert job.charge == job.result.upsert.receipt.charge
    assert job.charge.nanos > 0
    assert (await reader.search("closed on mondays")).hits[0].document_id == "bakery"
    assert await reconciliation.audit(database) == []


async def test_the_same_order_is_one_job(gateway: RunningGateway) -> None:
    reader = await town(gateway)
    first, second = [await order(reader, document("a", "x"), request_id="once") for _ in range(2)]
    assert first == second
    assert (await ended(gateway, first)).state == jobs_pb2.JOB_STATE_SUCCEEDED


async def test_what_would_be_refused_at_once_makes_no_job(gateway: RunningGateway) -> None:
    reader = await town(gateway)
    assert await refusal(order(reader, document("a"))) == invalid("input.documents[0].text")
    assert (
        await refusal(order(Reader(gateway, gateway.metadata(), "nowhere"), document("a", "x")))
    ).code == "NOT_FOUND"


async def test_a_key_that_may_make_no_jobs_makes_none(gateway: RunningGateway) -> None:
    await town(gateway)
    request = admin_pb2.CreateApiKeyRequest(name="key", scopes=["collections:*"])
    made = await gateway.admin.CreateApiKey(request, metadata=gateway.metadata())
    reader = Reader(gateway, gateway.metadata(key=made.secret))

    assert await refusal(order(reader, document("a", "x"))) == MISSING
    assert (await reader.put(document("a", "x"))).embedded_count == 1


async def test_a_collection_that_is_gone_ends_the_job_with_an_error(gateway: RunningGateway) -> None:
    reader = await town(gateway)
    input = collections_pb2.UpsertInput(collection=(await reader.look()).collection_id, documents=[document("a", "x")])
    request = jobs_pb2.CreateJobRequest(spec=jobs_pb2.JobSpec(upsert=input))
    request.schedule_time.GetCurrentTime()
    request.schedule_time.seconds += 2
    job = (await gateway.jobs.CreateJob(request, metadata=gateway.metadata())).job
    gone = collections_pb2.DeleteCollectionRequest(collection=reader.name)
    await gateway.collections.DeleteCollection(gone, metadata=gateway.metadata())

    over = await ended(gateway, job.job_id)
    assert over.state == jobs_pb2.JOB_STATE_FAILED
    assert over.charge.nanos == 0


@pytest.mark.parametrize("count", [300])
async def test_many_documents_at_once(gateway: RunningGateway, count: int) -> None:
    reader = Reader(gateway, gateway.metadata())
    await reader.make()
    put = await reader.put(*(document(f"d{number}", f"number {number} of many") for number in range(count)))

    assert put.embedded_count == count
    assert (await reader.look()).chunk_count == count
    assert "d77" in await reader.found("number 77 of many", options=retrieval_pb2.SearchOptions(limit=3))
