"""`trunkline worker`: does jobs, and nothing else."""

from __future__ import annotations

import click
import msgspec

from trunkline_server.cli import settings
from trunkline_server.cli.database import failures_told
from trunkline_server.cli.loading import loading


@click.command("worker")
@click.option("--queue", "queues", multiple=True, help="Do jobs of this queue alone; may be given again.")
@click.option("--concurrency", type=click.IntRange(min=1), help="Jobs at once.")
@click.pass_context
def command(ctx: click.Context, queues: tuple[str, ...], concurrency: int | None) -> None:
    """Do jobs until a signal, without serving anybody.

    Any number of workers share one database: point them to it with TRUNKLINE_DATABASE_URL, or run one beside the
    gateway on its data directory. SIGTERM lets running jobs finish; what does not goes back to its queue.
    """
    given = settings.load()
    jobs = given.jobs
    jobs = msgspec.structs.replace(
        jobs, queues=queues or jobs.queues, concurrency=concurrency or jobs.concurrency, worker=True
    )
    with loading():
        from trunkline_server import app  # noqa: PLC0415 - wrong settings are told without loading the whole house

    with failures_told():
        code = app.work(msgspec.structs.replace(given, jobs=jobs))
    ctx.exit(code)
