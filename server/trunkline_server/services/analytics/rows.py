"""Sums in the words of the contract."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration

from trunkline.v1 import analytics_pb2, usage_pb2
from trunkline_server.core import money
from trunkline_server.core.shares import shares
from trunkline_server.store.usage_sums import Sum


def usage_row(row: Sum) -> analytics_pb2.UsageRow:
    usage = usage_pb2.Usage(
        input_tokens=row.input_tokens,
        cached_input_tokens=row.cached_input_tokens,
        cache_write_input_tokens=row.cache_write_input_tokens,
        output_tokens=row.output_tokens,
        reasoning_output_tokens=row.reasoning_output_tokens,
    )
    return analytics_pb2.UsageRow(
        group=_group(row), call_count=row.calls, failed_count=row.failed, usage=usage, reported_count=row.reported
    )


def cost_row(row: Sum) -> analytics_pb2.CostRow:
    return analytics_pb2.CostRow(
        group=_group(row),
        call_count=row.calls,
        cost=money.usd(row.cost_nano_usd),
        charge=money.credits(row.charge_nanos),
        repriced=money.credits(row.repriced_nanos),
    )


def performance_row(row: Sum) -> analytics_pb2.PerformanceRow:
    told = analytics_pb2.PerformanceRow(
        group=_group(row),
        call_count=row.calls,
        failed_count=row.failed,
        cancelled_count=row.cancelled,
        duration=_latency(row.duration_ms, row.calls - row.failed, row.duration_steps),
        first_token=_latency(row.first_token_ms, row.first_tokens, row.first_token_steps),
        tokens_per_second=row.output_tokens * 1000 / row.speaking_ms if row.speaking_ms else 0,
        attempt_count=row.attempts,
    )
    if row.calls:
        told.success_rate, told.error_rate = 1 - row.failed / row.calls, row.failed / row.calls
    return told


def report_row(row: Sum) -> analytics_pb2.ReportRow:
    group = _group(row)
    group.ClearField("day")
    return analytics_pb2.ReportRow(
        start_day=row.time,
        group=group,
        call_count=row.calls,
        failed_count=row.failed,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        cost=money.usd(row.cost_nano_usd),
        charge=money.credits(row.charge_nanos),
        average=_average(row.duration_ms, row.calls - row.failed),
    )


def _group(row: Sum) -> analytics_pb2.Group:
    has_hour = "T" in row.time
    return analytics_pb2.Group(
        day="" if has_hour else row.time,
        hour=row.time if has_hour else "",
        user_id=row.user_id,
        provider=row.provider,
        model=row.model,
        operation=row.operation,
        key_id=row.key_id,
        label=row.label,
    )


def _latency(total_ms: int, count: int, steps: str) -> analytics_pb2.Latency:
    told = analytics_pb2.Latency(count=count)
    if steps:
        told.average.CopyFrom(_average(total_ms, count))
        for name, ms in zip(("p50", "p95", "p99"), shares(steps), strict=True):
            getattr(told, name).FromMilliseconds(ms)
    return told


def _average(total_ms: int, count: int) -> Duration:
    average = Duration()
    average.FromMicroseconds(total_ms * 1000 // max(count, 1))
    return average
