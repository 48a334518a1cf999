from __future__ import annotations

import socket
import subprocess
import sys
from importlib import import_module
from threading import Thread

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


def test_what_grpc_has_to_say_of_a_handshake_is_told_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=_answer_in_the_clear, args=(listener,), daemon=True).start()
        address = f"https://127.0.0.1:{listener.getsockname()[1]}"
        command = [sys.executable, "-m", "trunkline_server", "models", "--address", address, "--key", "k"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr.splitlines()) == (1, [done.stderr.strip()])
    assert "TLS was not agreed on" in done.stderr


def _answer_in_the_clear(listener: socket.socket) -> None:
    while True:
        try:
            with listener.accept()[0] as caller:
                caller.recv(4096)
                caller.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                caller.recv(1)  # until it hangs up
        except OSError:
            return


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
