"""`trunkline analytics`: reports to keep, how calls went, what goes on now, and events of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click
from google.protobuf.duration_pb2 import Duration

from trunkline.v1 import analytics_pb2, analytics_pb2_grpc
from trunkline_server.cli.failure import Failure
from trunkline_server.cli.gateway import Gateway, to_gateway
from trunkline_server.cli.plain import shown
from trunkline_server.cli.rows import amount, as_json_option, listing, show, show_fields
from trunkline_server.cli.selecting import BY, BY_NO_TIME, named, selecting, selection

FORMATS: Final = ("table", "json", "csv", "html")


@click.group("analytics")
def command() -> None:
    """Report on calls: by day, week or month, how they went, and what goes on now."""


@command.command("report")
@selecting
@click.option("--period", type=click.Choice(("day", "week", "month")), default="day", show_default=True)
@click.option("--format", "form", type=click.Choice(FORMATS), help="[default: what the file is named for, or a table]")
@click.option("--export", type=click.Path(dir_okay=False, path_type=Path), help="Write it to this file.")
@click.option("--by", multiple=True, type=click.Choice(BY_NO_TIME), help="A row for each beside time; again for more.")
@to_gateway
def report(
    gateway: Gateway,
    /,
    *,
    period: str,
    form: str | None,
    export: Path | None,
    days: int,
    by: tuple[str, ...],
    **fields: str,
) -> None:
    """What was called and charged, as a table, JSON, CSV, or a page of HTML with charts."""
    form = form or (_form_of(export) if export else "table")
    if form == "table" and export:
        raise click.UsageError("a table is not exported; choose --format json, csv or html")
    name = "UNSPECIFIED" if form == "table" else form.upper()
    request = analytics_pb2.GetReportRequest(
        selection=selection(by, days, **fields),
        period=analytics_pb2.ReportPeriod.Value(f"REPORT_PERIOD_{period.upper()}"),
        format=analytics_pb2.ReportFormat.Value(f"REPORT_FORMAT_{name}"),
    )
    told = gateway.call(_stub(gateway).GetReport, request)
    if form == "table":
        show(told.rows, _REPORT, as_json=False)
        if told.is_cut:
            click.echo(f"more than {len(told.rows)} rows: ask for fewer days, or a longer period", err=True)
    elif export is None:
        click.echo(shown(told.document.decode()), nl=False)
    else:
        _write(export, told.document)
        click.echo(f"{export}: {told.all.call_count} calls, {amount(told.charge)} credits", err=True)


def _write(file: Path, document: bytes) -> None:
    try:
        file.write_bytes(document)
    except OSError as error:
        raise Failure(f"{file} cannot be written: {error.strerror}") from None


@command.command("performance")
@selecting
@click.option("--by", multiple=True, type=click.Choice(BY), help="A row for each; again for more.  [default: model]")
@listing()
@to_gateway
def performance(
    gateway: Gateway, /, *, days: int, by: tuple[str, ...], limit: int | None, as_json: bool, **fields: str
) -> None:
    """How long calls took, and how many failed."""
    request = analytics_pb2.GetPerformanceRequest(selection=selection(by or ("model",), days, **fields))
    pages = gateway.pages(_stub(gateway).GetPerformance, request, limit)
    show((row for page in pages for row in page.rows), _PERFORMANCE, as_json=as_json)


@command.command("now")
@click.option("--minutes", type=click.IntRange(1, 60), default=1, show_default=True, help="How far back.")
@as_json_option
@to_gateway
def now(gateway: Gateway, /, *, minutes: int, as_json: bool) -> None:
    """What runs, and what ended in the last minutes."""
    request = analytics_pb2.GetRealtimeRequest(window=Duration(seconds=minutes * 60))
    show_fields(gateway.call(_stub(gateway).GetRealtime, request), _NOW, as_json=as_json)


@command.command("event")
@click.argument("name")
@click.option("--value", type=float, default=1.0, show_default=True, help="How much of it.")
@click.option("--user", "user_id", default="", metavar="USER", help="Whom it happened to.")
@to_gateway
def event(gateway: Gateway, /, *, name: str, value: float, user_id: str) -> None:
    """Note something of one's own, to be counted in reports."""
    gateway.call(_stub(gateway).RecordEvent, analytics_pb2.RecordEventRequest(name=name, value=value, user_id=user_id))


def _form_of(export: Path) -> str:
    """What a file is named for."""
    suffix = export.suffix.removeprefix(".").lower()
    return suffix if suffix in FORMATS else "table"


def _stub(gateway: Gateway) -> analytics_pb2_grpc.AnalyticsServiceStub:
    return analytics_pb2_grpc.AnalyticsServiceStub(gateway.channel)


def _ms(duration: Duration) -> str:
    return str(duration.ToMilliseconds())


_REPORT = {
    "FROM": lambda row: row.start_day,
    "OF": lambda row: named(row.group) or "all",
    "CALLS": lambda row: str(row.call_count),
    "FAILED": lambda row: str(row.failed_count),
    "TOKENS IN": lambda row: str(row.input_tokens),
    "OUT": lambda row: str(row.output_tokens),
    "USD": lambda row: amount(row.cost),
    "CREDITS": lambda row: amount(row.charge),
}
_PERFORMANCE = {
    "OF": lambda row: named(row.group) or "all",
    "CALLS": lambda row: str(row.call_count),
    "FAILED": lambda row: f"{row.error_rate:.2%}",
    "AVERAGE MS": lambda row: _ms(row.duration.average),
    "P50": lambda row: _ms(row.duration.p50),
    "P95": lambda row: _ms(row.duration.p95),
    "P99": lambda row: _ms(row.duration.p99),
    "FIRST TOKEN": lambda row: _ms(row.first_token.p50),
    "TOKENS/S": lambda row: f"{row.tokens_per_second:.1f}",
}
_NOW = {
    "held": lambda told: str(told.held_count),
    "calls": lambda told: str(told.all.call_count),
    "failed": lambda told: f"{told.all.failed_count} ({told.all.error_rate:.2%})",
    "p50 ms": lambda told: _ms(told.all.duration.p50),
    "p95 ms": lambda told: _ms(told.all.duration.p95),
    "tokens": lambda told: str(told.token_count),
    "credits": lambda told: amount(told.charge),
    "models": lambda told: ", ".join(f"{named(row.group)} {row.call_count}" for row in told.models),
}
