"""Providers of other distributions: entry points of one group, loaded at the start, kept out when they do not load."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Final

from trunkline_server.core.plugins import brought
from trunkline_server.providers.provider import Provider
from trunkline_server.wire.dialect import Wire

GROUP: Final = "trunkline.providers"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Broken:
    """An entry point that gives no provider, and why."""

    name: str
    reason: str


def installed(taken: Sequence[str]) -> Iterator[Provider | Broken]:
    """What the entry points give. A name that is `taken` stays with its owner; the first to bring a name has it."""
    names = set(taken)
    for entry in brought(GROUP):
        found = _load(entry, names)
        if isinstance(found, Broken):
            report(found)
        if found.name not in names:
            names.add(found.name)
            yield found


def report(broken: Broken) -> None:
    """Say it in the log, once."""
    _log.warning("provider.broken name=%s reason=%r", broken.name, broken.reason)


def failed(name: str, error: BaseException) -> Broken:
    """Somebody's code raised; what it said may hold secrets, so only the class is told."""
    return Broken(name, f"its package failed with {type(error).__name__}")


def _load(entry: EntryPoint, taken: set[str]) -> Provider | Broken:
    try:
        given = entry.load()
        provider = given if isinstance(given, Provider) else given()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - other people's code may raise anything
        return failed(entry.name, error)
    reason = _fault(entry, provider, taken)
    return Broken(entry.name, reason) if reason else provider


def _fault(entry: EntryPoint, provider: object, taken: set[str]) -> str:
    """What makes it unusable; empty where nothing does."""
    if not isinstance(provider, Provider):
        return f"{entry.value!r} gives no Provider"
    if provider.name != entry.name:
        return f"{entry.value!r} gives a provider of another name, {provider.name!r}"
    if not _NAME.fullmatch(provider.name):
        return "its name must be small letters, digits, '-' and '_'"
    if provider.name in taken:
        return "its name is taken"
    wire: object = provider.wire
    return "" if isinstance(wire, Wire) else "its wire lacks methods"
