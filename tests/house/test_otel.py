"""What an OpenTelemetry collector hears, over a socket: the names of the conventions, and never content."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.fixtures.dialects import DIALECTS
from tests.fixtures.gateway import RunningGateway, StartGateway, question
from tests.fixtures.until import until
from tests.fixtures.upstream import Upstream
from trunkline.v1 import chat_pb2, jobs_pb2
from trunkline_server.house import otel
from trunkline_server.house.start import StartError

CANARY = "canary7c1d"
TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
async def collector() -> Any:
    async with Upstream() as upstream:
        upstream.respond(lambda _: upstream.whole())
        yield upstream


def told(collector: Upstream) -> bytes:
    return b"".join(each.body for each in collector.requests)


def spans(collector: Upstream) -> dict[str, list[Any]]:
    """By name."""
    found: dict[str, list[Any]] = {}
    for each in collector.requests:
        if each.path == "/v1/traces":
            request = ExportTraceServiceRequest.FromString(each.body)
            for span in (span for one in request.resource_spans for scope in one.scope_spans for span in scope.spans):
                found.setdefault(span.name, []).append(span)
    return found


def metrics(collector: Upstream) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in collector.requests:
        if each.path == "/v1/metrics":
            request = ExportMetricsServiceRequest.FromString(each.body)
            for one in request.resource_metrics:
                found |= {metric.name: metric for scope in one.scope_metrics for metric in scope.metrics}
    return found


def attributes(span: Any) -> Mapping[str, Any]:
    return {each.key: _plain(each.value) for each in span.attributes}


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return [_plain(each) for each in value.array_value.values] if kind == "array_value" else getattr(value, kind)


@pytest.fixture
def start(collector: Upstream, start_gateway: StartGateway) -> Callable[..., Awaitable[RunningGateway]]:
    async def started(environment: Mapping[str, str] | None = None, ratio: float = 1) -> RunningGateway:
        given = {"otlp_endpoint": collector.url, "trace_ratio": ratio, "export_s": 0.2}
        return await start_gateway(environment, telemetry=given)

    return started


async def stream(gateway: RunningGateway, **metadata: str) -> None:
    request = chat_pb2.StreamRequest(input=question(f"{CANARY} two three"))
    async for _ in gateway.chat.Stream(request, metadata=gateway.metadata("ada", **metadata)):
        pass


async def test_a_call_is_a_span_with_one_below_it_for_its_attempt(start: Any, collector: Upstream) -> None:
    gateway = await start()
    await stream(gateway, x_request_id="asked-once")
    await until(lambda: "chat echo" in spans(collector))
    found = spans(collector)
    [call], [attempt] = found["trunkline.v1.ChatService/Stream"], found["chat echo"]
    assert attempt.trace_id == call.trace_id
    assert attempt.parent_span_id == call.span_id
    assert call.start_time_unix_nano <= attempt.start_time_unix_nano
    assert attempt.start_time_unix_nano < attempt.end_time_unix_nano <= call.end_time_unix_nano
    asked, said = attributes(call), attributes(attempt)
    assert (asked[otel.REQUEST_ID], asked[otel.STATUS]) == ("asked-once", "OK")
    assert (said[otel.OPERATION], said[otel.PROVIDER], said[otel.REQUEST_MODEL]) == ("chat", "sandbox", "echo")
    assert said[otel.FINISH_REASONS] == ["stop"]
    assert said[otel.INPUT_TOKENS] > 0
    assert said[otel.OUTPUT_TOKENS] > 0
    assert 0 < said[otel.FIRST_CHUNK] < 60
    assert said[otel.RESPONSE_ID].startswith("cmpl_")


async def test_nothing_of_the_question_the_answer_or_the_key_is_told(start: Any, collector: Upstream) -> None:
    gateway = await start()
    await stream(gateway)
    await until(lambda: bool(spans(collector) and metrics(collector)))
    assert CANARY.encode() not in told(collector)
    assert gateway.key.encode() not in told(collector)
    assert b"ada" not in told(collector)


async def test_each_attempt_is_a_span_and_a_failed_one_says_why(start: Any, collector: Upstream) -> None:
    dialect = DIALECTS[0]
    async with Upstream() as upstream:
        upstream.respond(lambda _: upstream.whole(status=503, json=dialect.error("no")))
        gateway = await start(dialect.environment(upstream.url))
        request = chat_pb2.CompleteRequest(input=question("Hi", dialect.name))
        with pytest.raises(grpc.aio.AioRpcError):
            await gateway.chat.Complete(request, metadata=gateway.metadata())
        asked = len(upstream.requests)
    await until(lambda: "trunkline.v1.ChatService/Complete" in spans(collector))
    found = spans(collector)
    [call] = found.pop("trunkline.v1.ChatService/Complete")
    [attempts] = found.values()
    assert len(attempts) == asked > 1
    assert call.status.code == attempts[0].status.code == 2
    assert attributes(attempts[0])[otel.HTTP_STATUS] == 503
    assert attributes(attempts[0])[otel.ERROR_TYPE]
    assert attributes(call)[otel.ERROR_TYPE] not in ("", "UNAVAILABLE")


@pytest.mark.parametrize(("ratio", "flags", "traced"), [(0, "01", True), (1, "00", False)])
async def test_a_caller_who_traces_decides(
    start: Any, collector: Upstream, ratio: int, flags: str, traced: bool
) -> None:
    gateway = await start(ratio=ratio)
    await stream(gateway, traceparent=f"00-{TRACE_ID}-{SPAN_ID}-{flags}")
    await until(lambda: otel.TOKENS in metrics(collector))
    if not traced:
        assert not spans(collector)
        return
    await until(lambda: bool(spans(collector)))
    [call] = spans(collector)["trunkline.v1.ChatService/Stream"]
    assert (call.trace_id.hex(), call.parent_span_id.hex()) == (TRACE_ID, SPAN_ID)


async def test_an_attempt_at_a_job_is_a_span_as_well(start: Any, collector: Upstream) -> None:
    gateway = await start()
    spec = jobs_pb2.JobSpec(chat=question(f"{CANARY} two three"))
    job = (await gateway.jobs.CreateJob(jobs_pb2.CreateJobRequest(spec=spec), metadata=gateway.metadata())).job
    await until(lambda: {"job/chat", "chat echo"} <= set(spans(collector)))
    [done], [attempt] = spans(collector)["job/chat"], spans(collector)["chat echo"]
    assert attempt.parent_span_id == done.span_id
    assert done.kind == Span.SPAN_KIND_CONSUMER
    said = attributes(done)
    assert (said[otel.REQUEST_ID], said[otel.STATUS], said[otel.JOB_KIND]) == (job.job_id, "OK", "chat")
    assert CANARY.encode() not in told(collector)


async def test_metrics_are_told_of_every_call(start: Any, collector: Upstream) -> None:
    gateway = await start(ratio=0)
    await stream(gateway)
    await until(lambda: {otel.DURATION, otel.TOKENS, otel.FIRST_CHUNK_DURATION} <= set(metrics(collector)))
    points = metrics(collector)[otel.TOKENS].histogram.data_points
    assert {attributes(point)[otel.TOKEN_TYPE] for point in points} == {"input", "output"}
    assert {attributes(point)[otel.PROVIDER] for point in points} == {"sandbox"}


async def test_a_collector_that_is_away_harms_nobody(start_gateway: StartGateway) -> None:
    given = {"otlp_endpoint": "http://127.0.0.1:1", "trace_ratio": 1, "export_s": 0.2}
    await stream(await start_gateway(telemetry=given))


async def test_without_the_extra_there_is_no_start(
    start_gateway: StartGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(StartError, match=r"trunkline-server\[otel\]"):
        await start_gateway(telemetry={"otlp_endpoint": "http://127.0.0.1:1"})
