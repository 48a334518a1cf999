"""`trunkline version`."""

from __future__ import annotations

import click

from trunkline_server import __version__


@click.command("version")
def command() -> None:
    """Print the version."""
    click.echo(f"trunkline {__version__}")
