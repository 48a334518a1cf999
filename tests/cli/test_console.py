from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import click
import pytest

from tests.cli.conftest import Typed
from trunkline_server import __version__
from trunkline_server.cli import COMMANDS, main

HEAVY = ("asyncpg", "google.protobuf", "grpc", "httptools", "msgspec", "rich", "trunkline_server.app", "uvloop")


def _commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    context = click.Context(group)
    found = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        found.append((*path, name))
        if isinstance(command, click.Group):
            found += _commands(command, (*path, name))
    return found


def test_version(typed: Typed) -> None:
    for arguments in (("version",), ("--version",)):
        assert typed(*arguments).stdout == f"trunkline {__version__}\n"


@pytest.mark.parametrize("arguments", [["version"], ["--help"]])
def test_light_commands_load_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from trunkline_server.cli import main\n"
        f"main({arguments}, standalone_mode=False)\n"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"


def test_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "trunkline_server", "version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"trunkline {__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_says_what_the_command_says(name: str) -> None:
    command = import_module(f"trunkline_server.cli.{name.replace('-', '_')}").command
    assert command.name == name
    assert command.get_short_help_str(limit=200).rstrip(".") == COMMANDS[name].rstrip(".")


@pytest.mark.parametrize("path", _commands(main), ids=" ".join)
def test_every_command_has_help(typed: Typed, path: tuple[str, ...]) -> None:
    result = typed(*path, "--help")
    assert result.exit_code == 0
    assert f"Usage: trunkline {' '.join(path)}" in result.stdout


def test_an_unknown_command_is_a_mistake(typed: Typed) -> None:
    result = typed("sing")
    assert result.exit_code == 2
    assert "No such command 'sing'" in result.stderr
