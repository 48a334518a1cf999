"""How a command ends when it cannot do its work: one line on stderr and an exit code, never a traceback."""

from __future__ import annotations

from typing import IO, Any

import click

from trunkline_server.cli.plain import one_line


class Failure(click.ClickException):
    """Ends the command. The message says what is wrong and what to do next."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"trunkline: {self.message}", file=file, err=file is None)


class Misuse(Failure):
    """The settings or the arguments are wrong; nothing was tried."""

    exit_code = 2
