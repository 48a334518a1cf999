"""Reads the settings: the file, over it the environment, below both the preset.

`[chat] unary_timeout_s` in the file is `TRUNKLINE_CHAT__UNARY_TIMEOUT_S` in the environment, which wins.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import msgspec

from trunkline_server.config.checks import ConfigError, check
from trunkline_server.config.sections import Settings
from trunkline_server.core.preset import lay_over, presets
from trunkline_server.providers.builtin import NAMES

PREFIX: Final = "TRUNKLINE_"
CLIENT_NAMES: Final = tuple(
    PREFIX + name for name in ("ADDRESS", "API_KEY", "CA", "CERT", "CERT_KEY", "KEY_ID", "MODEL", "SIGNING_KEY", "URL")
)
"""Names that are not settings: clients on the same machine read them."""


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the file and the environment. Raises ConfigError."""
    given = os.environ if environment is None else environment
    tree = _read_file(given.get("TRUNKLINE_CONFIG", ""))
    tree = _with_preset(lay_over(tree, _from_environment(given)))
    _add_providers(tree, given)
    try:
        settings = msgspec.convert(tree, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(_in_one_line(error)) from None
    check(settings)
    return settings


def _read_file(path: str) -> dict[str, Any]:
    file = Path(path or "trunkline.toml")
    if not path and not file.exists():
        return {}
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: {error}") from None


def _from_environment(given: Mapping[str, str]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in given.items():
        if not name.startswith(PREFIX) or name in ("TRUNKLINE_CONFIG", *CLIENT_NAMES):
            continue
        *sections, key = name.removeprefix(PREFIX).lower().split("__")
        table = tree
        for section in sections:
            table = table.setdefault(section, {})
            if not isinstance(table, dict):
                raise ConfigError(f"{name}: {section!r} is a value and a section at once")
        table[key] = _from_text(name, value)
    return tree


def _from_text(name: str, value: str) -> object:
    """Lists and tables are JSON; everything else is taken as it stands."""
    if not value.startswith(("[", "{")):
        return value
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError:
        raise ConfigError(f"{name}: looks like JSON, but is not") from None


def _with_preset(tree: dict[str, Any]) -> dict[str, Any]:
    """What the preset says, below all else. Raises ConfigError where there is none of that name."""
    name = tree.get("preset", "")
    if name == "":
        return tree
    if not isinstance(name, str) or name not in presets():
        raise ConfigError(f"preset: there is none of that name; there are {', '.join(presets())}")
    return lay_over(deepcopy(presets()[name].settings), tree)


def _add_providers(tree: dict[str, Any], given: Mapping[str, str]) -> None:
    providers = tree.setdefault("providers", {})
    for provider in NAMES:
        for key in ("api_key", "base_url"):
            value = given.get(f"{provider.upper()}_{key.upper()}", "")
            if value and isinstance(providers, dict):
                providers.setdefault(provider, {}).setdefault(key, value)


def _in_one_line(error: msgspec.ValidationError) -> str:
    """`Expected int - at $.grpc.x` becomes `grpc.x: expected int`; a value never stands in it."""
    what, _, where = str(error).partition(" - at `")
    path = where.rstrip("`").removeprefix("$").lstrip(".")
    if "unknown field" in what:
        unknown = what.rpartition("`")[0].rpartition("`")[2]
        return f"{'.'.join(filter(None, (path, unknown)))}: there is no such setting"
    return f"{path or 'settings'}: {what[:1].lower()}{what[1:]}"
