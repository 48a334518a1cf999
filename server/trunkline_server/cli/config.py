"""`trunkline config`: the settings in effect, without their secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import click
import msgspec

from trunkline_server.cli import settings
from trunkline_server.cli.beginning import begin
from trunkline_server.core.preset import presets

MASK: Final = "***"
_SECRET: Final = (
    "api_key",
    "bucket_access_key",
    "bucket_secret_key",
    "database_url",
    "environment",
    "headers",
    "kek",
    "otlp_headers",
    "pepper",
    "pinecone_api_key",
    "qdrant_api_key",
    "query",
    "redis_url",
    "weaviate_api_key",
    "webhook_secret",
)


@click.group("config")
def command() -> None:
    """Look at the settings."""


@command.command("check")
def check() -> None:
    """Validate the settings and print those in effect, secrets masked.

    Exits with 2, and one line that names the key, when a setting is wrong.
    """
    for name, value in _flat(msgspec.to_builtins(settings.load())):
        click.echo(f"{name} = {value}")


@command.command("init")
@click.option("--preset", type=click.Choice(list(presets())), default="development", show_default=True)
@click.option(
    "--file", type=click.Path(path_type=Path), default="trunkline.toml", envvar="TRUNKLINE_CONFIG", show_default=True
)
def init(preset: str, file: Path) -> None:
    """Write a file of settings to begin with, and fresh secrets where the preset needs them.

    A file that is there stays as it is.
    """
    begin(file, preset)
    warning = "; whoever loses the secrets in it loses what they seal" if presets()[preset].needs else ""
    click.echo(f"{file} is written{warning}")


@command.command("presets")
def show_presets() -> None:
    """What `preset` can be, and what each sets where nothing else does."""
    for name, preset in presets().items():
        click.echo(f"{name}: {preset.about}")
        for key in preset.needs:
            click.echo(f"  {key} must be set")
        for key, value in _flat(preset.settings):
            click.echo(f"  {key} = {value}")


def _flat(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        name = f"{path}{key}"
        if isinstance(value, dict) and value and key not in _SECRET:
            yield from _flat(value, f"{name}.")
        else:
            yield name, json.dumps(_masked(key, value), ensure_ascii=False)


def _masked(key: str, value: Any) -> Any:
    if key in _SECRET and value:
        return MASK
    match value:
        case list() | tuple():
            return [_masked(key, each) for each in value]
        case dict():
            return {name: _masked(name, each) for name, each in value.items()}
        case str() if "://" in value:
            return _without_login(value)
        case _:
            return value


def _without_login(url: str) -> str:
    """A URL can carry a name, a password and a key in its query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return MASK
    login, at, host = parts.netloc.rpartition("@")
    query = parts.query and MASK
    return urlunsplit((parts.scheme, f"{login and MASK}{at}{host}", parts.path, query, ""))
