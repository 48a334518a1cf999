"""`trunkline doctor`: looks at everything a gateway needs here, says what is missing and how to mend it."""

from __future__ import annotations

from collections.abc import Iterable

import click

from trunkline_server.cli import checks
from trunkline_server.cli.finding import Finding, Verdict
from trunkline_server.cli.plain import one_line
from trunkline_server.cli.reach import check_database, check_gateway
from trunkline_server.config import ConfigError, Settings, load

_COLOURS = {Verdict.OK: "green", Verdict.NOTE: "yellow", Verdict.BAD: "red"}


@click.command("doctor")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Say what is missing here, and how to mend it. Changes nothing; exits with 1 when something must be mended."""
    findings = list(_told(_examine()))
    ctx.exit(1 if any(finding.verdict is Verdict.BAD for finding in findings) else 0)


def _examine() -> Iterable[Finding]:
    yield checks.check_python()
    yield checks.check_clock()
    try:
        settings = load()
    except ConfigError as error:
        yield Finding.bad("settings", str(error), "correct this setting; `trunkline config check` tries again")
        return
    yield Finding.ok("settings", "valid")
    yield from _examine_place(settings)


def _examine_place(settings: Settings) -> Iterable[Finding]:
    yield checks.check_data_dir(settings.data_path)
    yield checks.check_disk(settings.data_path)
    if not settings.database_url:
        yield checks.check_embedded(settings.data_path)
    yield check_gateway(settings)
    yield check_database(settings)
    yield from checks.check_providers(settings)


def _told(findings: Iterable[Finding]) -> Iterable[Finding]:
    for finding in findings:
        mark = click.style(f"{finding.verdict:<4}", fg=_COLOURS[finding.verdict])
        click.echo(f"{mark}  {finding.subject:<20}  {one_line(finding.fact)}")
        if finding.remedy:
            click.echo(f"{'':26}  -> {one_line(finding.remedy)}")
        yield finding
