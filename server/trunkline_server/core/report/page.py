"""A report as one page of HTML: charts and tables, without scripts or anything from elsewhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from html import escape
from importlib.resources import files
from typing import Final

from trunkline.v1 import analytics_pb2
from trunkline_server.core.money import NANOS, to_decimal_text
from trunkline_server.core.report.chart import Bar, bars, brief
from trunkline_server.core.report.table import COLUMNS, Cell

TABLE_ROWS_MAX: Final = 1000
_TEXTS: Final = ("start_day", "user_id", "provider", "model", "operation", "key_id", "label")
_HEADS: Final[Mapping[str, str]] = {
    "start_day": "From",
    "user_id": "User",
    "provider": "Provider",
    "model": "Model",
    "operation": "Operation",
    "key_id": "Key",
    "label": "Label",
    "calls": "Calls",
    "failed": "Failed",
    "input_tokens": "Tokens in",
    "output_tokens": "Tokens out",
    "average_ms": "Average ms",
    "cost_usd": "US dollars",
    "charge_credits": "Credits",
}


def as_page(report: analytics_pb2.GetReportResponse, start: datetime, end: datetime) -> bytes:
    """In UTF-8."""
    last = max(start, end - timedelta(microseconds=1))
    span = f"{start:%-d %B %Y} to {last:%-d %B %Y}, UTC"
    body = "".join([*_tiles(report), *_charts(report), *_table(report), *_events(report)])
    style = (files(__package__) / "page.css").read_text("utf-8")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Usage, {span}</title><style>{style}</style></head>"
        f"<body><header><h1>Usage</h1><p>{span}</p></header>{body}</body></html>\n"
    ).encode()


def _tiles(report: analytics_pb2.GetReportResponse) -> Iterator[str]:
    all_ = report.all
    tiles = {
        "Credits charged": _rounded(report.charge.nanos),
        "US dollars": _rounded(report.cost.nanos),
        "Calls": f"{all_.call_count:,}",
        "Failed": f"{all_.error_rate:.2%}",
        "Half took at most": f"{all_.duration.p50.ToMilliseconds():,} ms",
        "95 of 100 at most": f"{all_.duration.p95.ToMilliseconds():,} ms",
    }
    yield "<dl>"
    yield from (f"<div><dt>{name}</dt><dd>{told}</dd></div>" for name, told in tiles.items())
    yield "</dl>"


def _rounded(nanos: int) -> str:
    """The table is exact."""
    return f"{nanos / NANOS:,.2f}" if abs(nanos) >= NANOS else to_decimal_text(nanos)


def _charts(report: analytics_pb2.GetReportResponse) -> Iterator[str]:
    spend: dict[str, int] = defaultdict(int)
    calls: dict[str, int] = defaultdict(int)
    failed: dict[str, int] = defaultdict(int)
    for row in report.rows:
        spend[row.start_day] += row.charge.nanos
        calls[row.start_day] += row.call_count
        failed[row.start_day] += row.failed_count
    spent = [Bar(day, nanos / NANOS, f"{to_decimal_text(nanos)} credits") for day, nanos in spend.items()]
    yield _figure("Credits", bars("Credits charged by time", spent))
    made = [
        Bar(day, count, f"{count:,} calls, {failed[day]:,} of them failed", failed[day]) for day, count in calls.items()
    ]
    yield _figure("Calls, and those that failed", bars("Calls by time", made))


def _figure(caption: str, drawn: str) -> str:
    return f"<figure><figcaption>{caption}</figcaption>{drawn}</figure>"


def _table(report: analytics_pb2.GetReportResponse) -> Iterator[str]:
    rows = report.rows[:TABLE_ROWS_MAX]
    columns = {name: cell for name, cell in COLUMNS.items() if name not in _TEXTS or any(map(cell, rows))}
    yield "<section><h2>All periods</h2><div class=wide><table><thead><tr>"
    yield from (f'<th class="{_kind(name)}">{_HEADS[name]}</th>' for name in columns)
    yield "</tr></thead><tbody>"
    for row in rows:
        yield f"<tr>{''.join(_cells(columns, row))}</tr>"
    yield "</tbody></table></div>"
    if report.is_cut or len(report.rows) > TABLE_ROWS_MAX:
        yield f"<p>Only the first {len(rows):,} rows are shown.</p>"
    yield "</section>"


def _cells(columns: Mapping[str, Cell], row: analytics_pb2.ReportRow) -> Iterable[str]:
    for name, cell in columns.items():
        told = cell(row)
        yield f'<td class="{_kind(name)}">{f"{told:,}" if isinstance(told, int) else escape(told)}</td>'


def _kind(name: str) -> str:
    return "text" if name in _TEXTS else "number"


def _events(report: analytics_pb2.GetReportResponse) -> Iterator[str]:
    if not report.events:
        return
    yield "<section><h2>Events</h2><table><thead><tr><th>Name</th><th class=number>Count</th>"
    yield "<th class=number>Value</th></tr></thead><tbody>"
    for each in report.events:
        yield f"<tr><td>{escape(each.name)}</td><td class=number>{each.count:,}</td>"
        yield f"<td class=number>{brief(each.value)}</td></tr>"
    yield "</tbody></table></section>"
