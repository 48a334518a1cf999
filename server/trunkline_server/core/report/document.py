"""A report as it was asked for."""

from __future__ import annotations

from datetime import datetime

from trunkline.v1 import analytics_pb2
from trunkline_server.core.report.page import as_page
from trunkline_server.core.report.table import as_csv, as_json


def written(
    report: analytics_pb2.GetReportResponse,
    format: analytics_pb2.ReportFormat.ValueType,
    start: datetime,
    end: datetime,
) -> tuple[str, bytes]:
    """Its media type and its bytes; empty where no document was asked for."""
    match format:
        case analytics_pb2.REPORT_FORMAT_JSON:
            return "application/json", as_json(report, start.isoformat(), end.isoformat())
        case analytics_pb2.REPORT_FORMAT_CSV:
            return "text/csv; charset=utf-8", as_csv(report)
        case analytics_pb2.REPORT_FORMAT_HTML:
            return "text/html; charset=utf-8", as_page(report, start, end)
        case _:
            return "", b""
