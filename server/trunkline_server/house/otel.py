"""Traces and metrics for OpenTelemetry, by its conventions for generative AI. Its SDK is an extra, and is loaded only
where an address is set; a call that is not sampled meets none of it but the counting of its tokens and time.

One span for a call, one below it for each attempt at a provider. They are made when the call has ended, from what it
left behind, so that nothing of a tracing system is on the call's path. Content is never told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

from trunkline_server import __version__
from trunkline_server.config import Settings
from trunkline_server.core.trace import Attempted, Inference, Parent, Trace, Tracer
from trunkline_server.house.start import StartError

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import Meter as OtelMeter
    from opentelemetry.trace import Tracer as OtelTracer

SERVICE: Final = "trunkline"
EXPORT_TIMEOUT_S: Final = 3.0

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
TOKEN_TYPE: Final = "gen_ai.token.type"
ERROR_TYPE: Final = "error.type"
HTTP_STATUS: Final = "http.response.status_code"
RPC_SYSTEM: Final = "rpc.system"
RPC_SERVICE: Final = "rpc.service"
RPC_METHOD: Final = "rpc.method"
STATUS: Final = "trunkline.status"
JOB_KIND: Final = "trunkline.job_kind"
REQUEST_ID: Final = "trunkline.request_id"
REQUESTED_MODEL: Final = "trunkline.requested_model"

JOBS: Final = "job/"
"""What the names of attempts at jobs begin with."""

DURATION: Final = "gen_ai.client.operation.duration"
FIRST_CHUNK_DURATION: Final = "gen_ai.client.operation.time_to_first_chunk"
TOKENS: Final = "gen_ai.client.token.usage"

OPERATIONS: Final[Mapping[str, str]] = {"embed": "embeddings"}
PROVIDERS: Final[Mapping[str, str]] = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "xai": "x_ai",
}
"""What the conventions call them; everything else is called as we call it."""
SECONDS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
COUNTS: Final = tuple(4**power for power in range(14))


class Otel(Tracer):
    """Over a tracer and a meter of the API, whoever has made them."""

    def __init__(self, tracer: OtelTracer, meter: OtelMeter, trace_ratio: float) -> None:
        super().__init__(trace_ratio)
        self._tracer = tracer
        self._durations = meter.create_histogram(DURATION, "s", explicit_bucket_boundaries_advisory=SECONDS)
        self._first_chunks = meter.create_histogram(
            FIRST_CHUNK_DURATION, "s", explicit_bucket_boundaries_advisory=SECONDS
        )
        self._tokens = meter.create_histogram(TOKENS, "{token}", explicit_bucket_boundaries_advisory=COUNTS)

    def measure(self, inference: Inference, duration_s: float) -> None:
        """An AI call has ended, sampled or not."""
        attributes = _names(inference.operation, inference.provider, inference.model)
        self._durations.record(duration_s, attributes)
        if inference.streaming and inference.first_token_s is not None:
            self._first_chunks.record(inference.first_token_s, attributes)
        for kind, count in (("input", inference.input_tokens), ("output", inference.output_tokens)):
            if count:
                self._tokens.record(count, attributes | {TOKEN_TYPE: kind})

    def tell(self, trace: Trace) -> None:
        from opentelemetry import trace as api  # noqa: PLC0415 - an extra, which is there where this is called

        wall = _on_the_wall()
        name = trace.method.strip("/")
        kind = api.SpanKind.CONSUMER if name.startswith(JOBS) else api.SpanKind.SERVER
        span = self._tracer.start_span(
            name, _within(trace.parent), kind, _asked(name, trace), start_time=wall(trace.began_s)
        )
        below = api.set_span_in_context(span)
        for inference in trace.inferences:
            for attempt in inference.attempts:
                self._attempt(below, inference, attempt, wall)
        if trace.code != "OK":
            span.set_attribute(ERROR_TYPE, trace.reason or trace.code)
            span.set_status(api.StatusCode.ERROR)
        span.end(wall(trace.ended_s))

    def _attempt(self, below: Context, inference: Inference, attempt: Attempted, wall: Callable[[float], int]) -> None:
        from opentelemetry import trace as api  # noqa: PLC0415 - as above

        attributes = dict(_told(inference, attempt))
        name = f"{attributes[OPERATION]} {attempt.model}"
        span = self._tracer.start_span(name, below, api.SpanKind.CLIENT, attributes, start_time=wall(attempt.began_s))
        if attempt.failure:
            span.set_status(api.StatusCode.ERROR)
        span.end(wall(attempt.ended_s))


def open_otel(settings: Settings, stack: AsyncExitStack) -> Otel | None:
    """None where no address is set. Raises StartError where the extra is not installed."""
    given = settings.telemetry
    if not given.otlp_endpoint:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415 - an extra
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError:
        raise StartError("telemetry.otlp_endpoint: needs the extra; pip install 'trunkline-server[otel]'") from None
    address, headers = given.otlp_endpoint.rstrip("/"), dict(given.otlp_headers)
    resource = Resource.create({"service.name": SERVICE, "service.version": __version__})
    exporter = OTLPMetricExporter(f"{address}/v1/metrics", headers=headers, timeout=EXPORT_TIMEOUT_S)
    reader = PeriodicExportingMetricReader(exporter, given.export_s * 1000)
    meters = MeterProvider([reader], resource, shutdown_on_exit=False)
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    spans = OTLPSpanExporter(f"{address}/v1/traces", headers=headers, timeout=EXPORT_TIMEOUT_S)
    tracers.add_span_processor(BatchSpanProcessor(spans, schedule_delay_millis=given.export_s * 1000))
    stack.push_async_callback(_ended, meters.shutdown, tracers.shutdown)
    return Otel(tracers.get_tracer(SERVICE, __version__), meters.get_meter(SERVICE, __version__), given.trace_ratio)


async def _ended(*shutdowns: Callable[[], object]) -> None:
    """The last of it is sent, if that does not take long."""
    await asyncio.gather(*map(asyncio.to_thread, shutdowns), return_exceptions=True)


def _asked(name: str, trace: Trace) -> dict[str, str]:
    """Of the call: an RPC, or an attempt at a job."""
    told = {STATUS: trace.code, REQUEST_ID: trace.request_id}
    if name.startswith(JOBS):
        return told | {JOB_KIND: name.removeprefix(JOBS)}
    service, _, method = name.rpartition("/")
    return told | {RPC_SYSTEM: "grpc", RPC_SERVICE: service, RPC_METHOD: method}


def _told(inference: Inference, attempt: Attempted) -> Iterator[tuple[str, Any]]:
    """Of one attempt. What was used is told of the one that the call ended with."""
    yield from _names(inference.operation, attempt.provider, attempt.model).items()
    yield REQUESTED_MODEL, inference.requested_model
    yield REQUEST_STREAM, inference.streaming
    if attempt.http_status:
        yield HTTP_STATUS, attempt.http_status
    if attempt.failure:
        yield ERROR_TYPE, attempt.failure
    if attempt is not inference.attempts[-1]:
        return
    yield RESPONSE_ID, inference.completion_id
    yield RESPONSE_MODEL, attempt.model
    yield INPUT_TOKENS, inference.input_tokens
    yield OUTPUT_TOKENS, inference.output_tokens
    if inference.finish_reason:
        yield FINISH_REASONS, [inference.finish_reason.removeprefix("FINISH_REASON_").lower()]
    if inference.streaming and inference.first_token_s is not None:
        yield FIRST_CHUNK, inference.first_token_s


def _names(operation: str, provider: str, model: str) -> dict[str, str]:
    return {
        OPERATION: OPERATIONS.get(operation, operation),
        PROVIDER: PROVIDERS.get(provider, provider),
        REQUEST_MODEL: model,
    }


def _within(parent: Parent | None) -> Context | None:
    from opentelemetry import trace as api  # noqa: PLC0415 - as above

    if parent is None:
        return None
    remote = api.SpanContext(parent.trace_id, parent.span_id, is_remote=True, trace_flags=api.TraceFlags(1))
    return api.set_span_in_context(api.NonRecordingSpan(remote))


def _on_the_wall() -> Callable[[float], int]:
    """From seconds of `time.perf_counter` to nanoseconds of the wall clock."""
    offset_ns = time.time_ns() - time.perf_counter_ns()
    return lambda clock_s: offset_ns + int(clock_s * 1e9)
