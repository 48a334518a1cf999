"""`trunkline serve`: the gateway itself, in the foreground."""

from __future__ import annotations

import socket
from pathlib import Path

import click
import msgspec

from trunkline_server.cli import settings
from trunkline_server.cli.database import failures_told
from trunkline_server.cli.loading import loading


@click.command("serve")
@click.option("--no-worker", is_flag=True, help="Leave jobs to others: `trunkline worker`.")
@click.option("--processes", type=click.IntRange(1, 256), default=1, show_default=True, help="So many at one address.")
@click.option("--supervisor", type=int, hidden=True, help="The socket that leads to whoever started this process.")
@click.option("--place", type=click.Path(path_type=Path), hidden=True, help="Where it tells the others its figures.")
@click.pass_context
def command(ctx: click.Context, no_worker: bool, processes: int, supervisor: int | None, place: Path | None) -> None:
    """Run the gateway until a signal.

    SIGTERM lets running calls finish; Ctrl-C ends them. Settings come from trunkline.toml (or TRUNKLINE_CONFIG) and
    the environment; with none at all it starts with a database of its own under ./.trunkline and the sandbox provider.
    """
    given = settings.load()
    if no_worker:
        given = msgspec.structs.replace(given, jobs=msgspec.structs.replace(given.jobs, worker=False))
    with loading():
        from trunkline_server import app, fleet  # noqa: PLC0415 - wrong settings are told without loading the whole house

    with failures_told():
        if processes > 1:
            code = fleet.run(given, processes, ["--no-worker"] * no_worker)
        else:
            code = app.run(given, None if supervisor is None else socket.socket(fileno=supervisor), place)
    ctx.exit(code)
