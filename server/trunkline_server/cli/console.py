"""The group of all commands: knows them by name and one line, loads a command's module when it is asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib import import_module
from io import TextIOWrapper
from typing import Any

import click

INTERRUPTED = 130  # what a shell reports of a program that Ctrl-C ended


class Console(click.Group):
    """`summaries` stand in for the commands in the help, which therefore loads none of them."""

    def __init__(self, *args: Any, package: str, summaries: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._package = package
        self._summaries = summaries

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(self._summaries)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._summaries:
            return None
        command = import_module(f"{self._package}.{cmd_name.replace('-', '_')}").command
        assert isinstance(command, click.Command)  # noqa: S101 - what the module of a command holds
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self._summaries.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command. Ctrl-C ends it quietly."""
        _never_choke()
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what its core has to say, commands say in a line of theirs
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)


def _never_choke() -> None:
    """A terminal that lacks a letter of an answer shows its code instead of ending the program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
