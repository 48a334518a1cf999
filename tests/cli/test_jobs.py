"""`jobs`, `batches` and `events` against a real gateway."""

from __future__ import annotations

import json

from google.protobuf.json_format import MessageToJson

from tests.cli.conftest import Called
from tests.fixtures.gateway import RunningGateway
from tests.fixtures.jobs import create, ended, get, spec
from trunkline.v1 import batches_pb2


async def test_the_life_of_a_job(called: Called, gateway: RunningGateway) -> None:
    job = await create(gateway, spec("Hello out there"))
    watched = await called("jobs", "watch", job.job_id)
    assert (watched.exit_code, watched.stdout.splitlines()[-1]) == (0, "Hello out there")
    listed = await called("jobs", "list", "--state", "succeeded", "--json")
    assert [json.loads(line)["jobId"] for line in listed.stdout.splitlines()] == [job.job_id]
    assert "succeeded" in (await called("jobs", "list")).stdout
    shown = await called("jobs", "show", job.job_id)
    assert ("tries" in shown.stdout, "1/5" in shown.stdout) == (True, True)
    again = (await called("jobs", "retry", job.job_id)).stdout.strip()
    assert (await ended(gateway, again)).retry_of_job_id == job.job_id
    assert "100.0%" in (await called("jobs", "stats")).stdout
    refused = await called("jobs", "cancel", job.job_id)
    assert (refused.exit_code, "JOB_FINAL" in refused.stderr) == (1, True)


async def test_a_job_is_made_of_a_file(called: Called, gateway: RunningGateway) -> None:
    text = MessageToJson(spec("Hello out there"))
    typed = ("jobs", "create", "-", "--queue", "reports", "--priority", "7", "--user", "ada", "--request-id", "r1")
    made, again = [(await called(*typed, stdin=text)).stdout.strip() for _ in range(2)]
    assert made == again
    job = await get(gateway, made)
    assert (job.queue, job.priority, job.user_id) == ("reports", 7, "ada")


async def test_what_is_no_job_is_told(called: Called, gateway: RunningGateway) -> None:
    refused = await called("jobs", "create", "-", stdin='{"chat": {"modle": "x"}}')
    assert (refused.exit_code, "the file is no JobSpec" in refused.stderr, "modle" in refused.stderr) == (2, True, True)
    assert (await called("jobs", "create", "-", stdin="{}")).exit_code == 1


async def test_a_batch_is_made_of_lines(called: Called, gateway: RunningGateway) -> None:
    items = [batches_pb2.BatchItemSpec(custom_id=name, spec=spec(name)) for name in ("one", "two")]
    lines = "\n\n".join(MessageToJson(item, indent=None) for item in items)
    typed = ("batches", "create", "-", "--name", "pair", "--concurrency", "1", "--stop-on-error", "--user", "ada")
    batch_id = (await called(*typed, stdin=lines)).stdout.strip()
    assert (await called("batches", "watch", batch_id)).exit_code == 0
    request = batches_pb2.GetBatchRequest(batch_id=batch_id)
    batch = (await gateway.batches.GetBatch(request, metadata=gateway.metadata())).batch
    assert (batch.name, batch.mode, batch.concurrency_max) == ("pair", batches_pb2.BATCH_MODE_GATEWAY, 1)
    assert batch.stop_on_error


async def test_a_line_that_is_no_item_is_named(called: Called, gateway: RunningGateway) -> None:
    refused = await called("batches", "create", "-", stdin='{"customId": "one"}\n{"customId": 1}')
    assert (refused.exit_code, "line 2 is no BatchItemSpec" in refused.stderr) == (2, True)


async def test_a_batch_is_made_for_its_provider(called: Called, gateway: RunningGateway) -> None:
    line = MessageToJson(batches_pb2.BatchItemSpec(spec=spec("one", "sandbox/echo")), indent=None)
    made = await called("batches", "create", "-", "--mode", "provider", stdin=line)
    assert made.exit_code == 0, made.stderr
    request = batches_pb2.GetBatchRequest(batch_id=made.stdout.strip())
    batch = (await gateway.batches.GetBatch(request, metadata=gateway.metadata())).batch
    assert batch.mode == batches_pb2.BATCH_MODE_PROVIDER


async def test_one_that_fails_says_why(called: Called, gateway: RunningGateway) -> None:
    job = await create(gateway, spec(model="sandbox/broken"), max_attempts=1)
    watched = await called("jobs", "watch", job.job_id, "--json")
    assert (watched.exit_code, json.loads(watched.stdout.splitlines()[-1])["state"]) == (1, "JOB_STATE_FAILED")
    assert "no provider could answer" in (await called("jobs", "show", job.job_id)).stdout


async def test_the_life_of_a_batch(called: Called, gateway: RunningGateway) -> None:
    items = [batches_pb2.BatchItemSpec(custom_id=name, spec=spec(name)) for name in ("one", "two")]
    made = await gateway.batches.CreateBatch(
        batches_pb2.CreateBatchRequest(items=items, name="pair"), metadata=gateway.metadata()
    )
    batch_id = made.batch.batch_id
    watched = await called("batches", "watch", batch_id)
    assert (watched.exit_code, "100.0%" in watched.stdout) == (0, True)
    assert "pair" in (await called("batches", "list")).stdout
    listed = await called("batches", "items", batch_id, "--json")
    assert [json.loads(line)["customId"] for line in listed.stdout.splitlines()] == ["one", "two"]
    assert "completed" in (await called("batches", "show", batch_id)).stdout
    assert "JOB_FINAL" in (await called("batches", "cancel", batch_id)).stderr


async def test_events_are_told_in_order(called: Called, gateway: RunningGateway) -> None:
    job = await create(gateway, spec())
    await ended(gateway, job.job_id)
    told = await called("events", "tail", "--from-beginning", "--type", "JobStateChanged", "--limit", "3", "--json")
    states = [json.loads(line)["jobStateChanged"]["state"] for line in told.stdout.splitlines()]
    assert states == ["JOB_STATE_QUEUED", "JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED"]
    assert (
        job.job_id
        in (await called("events", "tail", "--from-beginning", "--type", "JobStateChanged", "--limit", "1")).stdout
    )
    assert "BatchProgress" in (await called("events", "types")).stdout
