"""Each provider's own batch API over a socket: what it is sent, and what its answers become and cost."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from tests.fixtures.books import Books
from tests.fixtures.gateway import StartGateway, text_of
from tests.fixtures.jobs import spec
from tests.fixtures.upstream import Answer, Received, Upstream
from tests.jobs.test_batches import create, items, watched
from trunkline.v1 import batches_pb2, embeddings_pb2, jobs_pb2
from trunkline_server.providers.builtin import anthropic, gemini, mistral, xai

USAGE = {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000}
PROVIDERS = {"anthropic": anthropic, "gemini": gemini, "mistral": mistral, "xai": xai}
Told = dict[str, Any] | bytes


def completion(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "1",
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": USAGE,
    }


def by_anthropic(asked: Received) -> Told:
    assert asked.headers["anthropic-version"]
    if asked.path.endswith("/results"):
        message = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [{"type": "text", "text": "good"}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 1000, "output_tokens": 1000},
        }
        error = {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}
        results = [
            {"custom_id": "1", "result": {"type": "errored", "error": error}},
            {"custom_id": "0", "result": {"type": "succeeded", "message": message}},
            {"custom_id": "2", "result": {"type": "expired"}},
        ]
        return b"\n".join(json.dumps(result).encode() for result in results)
    if asked.method == "POST":
        requests = asked.json()["requests"]
        assert [each["custom_id"] for each in requests] == ["0", "1", "2"]
        assert requests[0]["params"]["model"] == "claude-haiku-4-5"
    counts = {"processing": 0, "succeeded": 1, "errored": 1, "canceled": 0, "expired": 1}
    return {"id": "msgbatch_1", "processing_status": "ended", "request_counts": counts, "results_url": "elsewhere"}


def by_gemini(asked: Received) -> Told:
    if asked.method == "POST":
        assert asked.path == "/v1beta/models/gemini-2.5-flash:batchGenerateContent"
        requests = asked.json()["batch"]["inputConfig"]["requests"]["requests"]
        assert [each["metadata"]["key"] for each in requests] == ["0", "1", "2"]
        return {"name": "batches/b1", "metadata": {"state": "BATCH_STATE_PENDING"}}
    answer = {
        "candidates": [{"content": {"parts": [{"text": "good"}], "role": "model"}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 1000, "candidatesTokenCount": 1000, "totalTokenCount": 2000},
    }
    answers = [
        {"metadata": {"key": "0"}, "response": answer},
        {"metadata": {"key": "1"}, "error": {"code": 3, "message": "no"}},
    ]
    metadata = {"state": "BATCH_STATE_EXPIRED", "output": {"inlinedResponses": {"inlinedResponses": answers}}}
    return {"name": "batches/b1", "metadata": metadata}


def by_mistral(asked: Received) -> Told:
    if asked.method == "POST":
        told = asked.json()
        assert (told["endpoint"], told["model"]) == ("/v1/chat/completions", "mistral-small-latest")
        assert [(each["custom_id"], "model" in each["body"]) for each in told["requests"]] == [
            ("0", False),
            ("1", False),
            ("2", False),
        ]
        return {"id": "job-1", "status": "QUEUED"}
    outputs = [
        {"custom_id": "0", "response": {"status_code": 200, "body": completion("good")}, "error": None},
        {"custom_id": "1", "response": {"status_code": 400, "body": {"message": "no"}}},
    ]
    status = "TIMEOUT_EXCEEDED"
    return {"id": "job-1", "status": status, "outputs": outputs if "inline" in asked.path else None}


def by_xai(asked: Received) -> Told:
    if asked.path == "/v1/batches":
        return {"batch_id": "batch_1", "state": {"num_requests": 0, "num_pending": 0}}
    if asked.path == "/v1/batches/batch_1/requests":
        requests = asked.json()["batch_requests"]
        assert [each["batch_request_id"] for each in requests] == ["0", "1", "2"]
        assert requests[0]["batch_request"]["chat_get_completion"]["model"] == "grok-4.3"
        return {}
    if "pagination_token=p2" in asked.path:
        return {
            "results": [{"batch_request_id": "1", "batch_result": {"error": {"code": 3}}}],
            "pagination_token": None,
        }
    if "/results" in asked.path:
        result = {"response": {"chat_get_completion": completion("good")}}
        return {"results": [{"batch_request_id": "0", "batch_result": result}], "pagination_token": "p2"}
    return {"batch_id": "batch_1", "state": {"num_requests": 3, "num_pending": 0}}


@dataclass(frozen=True)
class Case:
    """What a provider says, what it costs there, and what becomes of an item that it does not answer."""

    model: str
    told: Callable[[Received], Told]
    percent: int = 50
    unanswered: str = "JOB_EXPIRED"


CASES = (
    Case("anthropic/claude-haiku-4-5", by_anthropic),
    Case("gemini/gemini-2.5-flash", by_gemini),
    Case("mistral/mistral-small-latest", by_mistral),
    Case("xai/grok-4.3", by_xai, 80, "PROVIDERS_EXHAUSTED"),
)


@pytest.fixture
async def upstream(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Upstream]:
    """Whoever waits for it asks often."""
    for module in PROVIDERS.values():
        craft = replace(cast("Any", module.PROVIDER.bulk), poll_s=0.05)
        monkeypatch.setitem(cast("Any", module.PROVIDER.__dict__), "bulk", craft)
    async with Upstream() as upstream:
        yield upstream


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.model)
async def test_a_batch_there(books: Books, start_gateway: StartGateway, upstream: Upstream, case: Case) -> None:
    def answer(asked: Received) -> Answer:
        said = case.told(asked)
        return upstream.whole(said) if isinstance(said, bytes) else upstream.whole(json=said)

    upstream.respond(answer)
    name = case.model.partition("/")[0].upper()
    version = "/v1" if name in ("MISTRAL", "XAI") else ""
    gateway = await start_gateway({f"{name}_API_KEY": "k", f"{name}_BASE_URL": upstream.url + version})
    made = await create(
        gateway, [spec(f"text {n}", case.model) for n in range(3)], mode=batches_pb2.BATCH_MODE_PROVIDER
    )
    done = (await watched(gateway, made.batch_id))[-1]
    assert (done.progress.succeeded_count, done.progress.failed_count) == (1, 2)
    good, bad, none = await items(gateway, made.batch_id)
    assert text_of(good.result.completion) == "good"
    assert good.result.completion.price_version.endswith(f"@{case.percent}%")
    assert bad.error.code
    assert case.unanswered in str(none.error)
    assert await books.charges() == [good.charge.nanos] == [done.charge.nanos]
    [row] = [row for row in await books.usage() if row["charge_nanos"]]
    assert (row["input_tokens"], row["output_tokens"]) == (1000, 1000)


async def test_embeddings_by_mistral(books: Books, start_gateway: StartGateway, upstream: Upstream) -> None:
    usage = {"prompt_tokens": 4, "total_tokens": 4}
    vectors = {"model": "m", "data": [{"index": 0, "embedding": [0.5, 0.25]}], "usage": usage}

    def answer(asked: Received) -> Answer:
        if asked.method == "POST":
            told = asked.json()
            assert (told["endpoint"], told["model"]) == ("/v1/embeddings", "mistral-embed")
            [line] = told["requests"]
            assert (line["body"]["input"], "model" in line["body"]) == (["one"], False)
            return upstream.whole(json={"id": "job-1", "status": "QUEUED"})
        outputs = [{"custom_id": "0", "response": {"status_code": 200, "body": vectors}, "error": None}]
        return upstream.whole(json={"id": "job-1", "status": "SUCCESS", "outputs": outputs})

    upstream.respond(answer)
    gateway = await start_gateway({"MISTRAL_API_KEY": "k", "MISTRAL_BASE_URL": f"{upstream.url}/v1"})
    wanted = jobs_pb2.JobSpec(embed=embeddings_pb2.EmbedInput(model="mistral/mistral-embed", texts=["one"]))
    made = await create(gateway, [wanted], mode=batches_pb2.BATCH_MODE_PROVIDER)
    await watched(gateway, made.batch_id)
    [item] = await items(gateway, made.batch_id)
    assert list(item.result.embed.embeddings[0].values) == [0.5, 0.25]
    assert item.result.embed.receipt.price_version.endswith("@50%")
    assert await books.charges() == [item.charge.nanos]
    assert [row["input_tokens"] for row in await books.usage()] == [4]
