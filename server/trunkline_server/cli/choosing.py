"""The options that say whose calls a limit or budget counts, and how that is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from trunkline.v1 import limits_pb2

FIELDS: Final = {
    "user_id": "The user; * for each apart.",
    "key_id": "The API key; * for each apart.",
    "provider": "The provider; * for each apart.",
    "model": "The model, by the provider's name; * for each apart.",
    "team": "The label `team`; * for each apart.",
}

Command = TypeVar("Command", bound=Callable[..., Any])


def chosen(command: Command) -> Command:
    """Gives a command an option for each field of a selector."""
    for name, told in reversed(FIELDS.items()):
        option = "--key-id" if name == "key_id" else f"--{name.removesuffix('_id')}"  # `--key` opens the gateway
        command = click.option(option, name, default="", metavar="NAME", help=told)(command)
    return command


def who(selector: limits_pb2.LimitSelector) -> str:
    """`user=* model=gpt-4o`; empty for everybody."""
    fields = ((name.removesuffix("_id"), getattr(selector, name)) for name in FIELDS)
    return " ".join(f"{name}={value}" for name, value in fields if value)
