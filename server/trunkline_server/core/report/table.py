"""A report as rows of text: for CSV, JSON, and the table of the page."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from typing import Final

import orjson

from trunkline.v1 import analytics_pb2
from trunkline_server.core.money import to_decimal_text

Cell = Callable[[analytics_pb2.ReportRow], str | int]

COLUMNS: Final[Mapping[str, Cell]] = {
    "start_day": lambda row: row.start_day,
    "user_id": lambda row: row.group.user_id,
    "provider": lambda row: row.group.provider,
    "model": lambda row: row.group.model,
    "operation": lambda row: row.group.operation,
    "key_id": lambda row: row.group.key_id,
    "label": lambda row: row.group.label,
    "calls": lambda row: row.call_count,
    "failed": lambda row: row.failed_count,
    "input_tokens": lambda row: row.input_tokens,
    "output_tokens": lambda row: row.output_tokens,
    "average_ms": lambda row: row.average.ToMilliseconds(),
    "cost_usd": lambda row: to_decimal_text(row.cost.nanos),
    "charge_credits": lambda row: to_decimal_text(row.charge.nanos),
}
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def as_csv(report: analytics_pb2.GetReportResponse) -> bytes:
    """Texts that a spreadsheet would take for a formula get an apostrophe in front."""
    lines = io.StringIO()
    writer = csv.writer(lines)
    writer.writerow(COLUMNS)
    writer.writerows([_plain(cell(row)) for cell in COLUMNS.values()] for row in report.rows)
    return lines.getvalue().encode()


def as_json(report: analytics_pb2.GetReportResponse, start: str, end: str) -> bytes:
    told = {
        "start_time": start,
        "end_time": end,
        "calls": report.all.call_count,
        "failed": report.all.failed_count,
        "cost_usd": to_decimal_text(report.cost.nanos),
        "charge_credits": to_decimal_text(report.charge.nanos),
        "is_cut": report.is_cut,
        "rows": [{name: cell(row) for name, cell in COLUMNS.items()} for row in report.rows],
        "events": [{"name": each.name, "count": each.count, "value": each.value} for each in report.events],
    }
    return orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _plain(cell: str | int) -> str | int:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) and not _is_number(cell) else cell


def _is_number(text: str) -> bool:
    return text.removeprefix("-").replace(".", "", 1).isdigit()
