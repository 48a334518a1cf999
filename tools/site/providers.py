"""What the pages tell of each provider: what its declaration says, what its models cost, and what differs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import orjson

from trunkline.v1 import models_pb2
from trunkline_server.core.operation import Operation
from trunkline_server.house.routing import MODEL_FILES
from trunkline_server.providers import builtin
from trunkline_server.providers.provider import Provider
from trunkline_server.providers.sandbox import SANDBOX

SOURCE: Final = "docs/providers.md"
NANOS: Final = 10**9
NOTE: Final = r"^- \*\*{}\*\*:? ((?:.+\n?)+?)(?=^- |^$|\Z)"
UNSAID: Final = "-"


@dataclass(frozen=True)
class Model:
    name: str
    display_name: str
    context_window: int
    input_usd: str
    output_usd: str
    others: str


@dataclass(frozen=True)
class Entry:
    """`abilities`: all that a provider could have, and whether this one does. `facts`: what its declaration says."""

    name: str
    address: str
    key: str
    abilities: Sequence[tuple[str, bool]]
    facts: Sequence[tuple[str, str]]
    notes: Sequence[str]
    models: Sequence[Model]


def providers(root: Path) -> list[Entry]:
    """Those that ship with the gateway, in the order in which a bare model name looks for its provider."""
    text = root.joinpath(SOURCE).read_text("utf-8")
    offered = list(_offered())
    return [_entry(each, text, offered) for each in (*builtin.declarations(), SANDBOX)]


def _entry(provider: Provider, text: str, offered: Sequence[dict[str, Any]]) -> Entry:
    name = provider.name
    return Entry(
        name,
        "" if provider.transport else provider.base_url,
        f"{name.upper()}_API_KEY" if provider.needs_key else "",
        list(_abilities(provider)),
        list(_facts(provider)),
        list(_notes(name, text)),
        [_model(each) for each in offered if each["provider"] == name],
    )


def _notes(name: str, text: str) -> Iterator[str]:
    """What a page says behind the provider's name, in the points of its lists."""
    for note in re.findall(NOTE.format(name), text, re.MULTILINE):
        yield " ".join(note.split())


def _abilities(provider: Provider) -> Iterator[tuple[str, bool]]:
    for name, value in models_pb2.Capability.items():
        if value:
            yield name, value in provider.capabilities


def _facts(provider: Provider) -> Iterator[tuple[str, str]]:
    yield "dialect", f"`{provider.wire.name}`"
    yield "batches for less", _yes(provider.bulk)
    yield "answers in its own time", _yes(provider.background)
    yield "keeps files", _yes(provider.files)
    yield "keeps vector stores", _yes(provider.stores)
    yield "addresses in messages", "fetched there" if provider.takes_urls else "fetched by the gateway"
    if Operation.SPEECH in provider.crafts:
        yield "voices", _voices(provider)
    yield "an answer that is left", f"`{provider.cancel_billing.value}`"
    yield "tells what is left of its limits", _yes(provider.limit_headers)
    yield "knows a call that is sent again", _yes(provider.idempotency_header)
    yield "models", "those of the list alone" if provider.closed else "any that it offers; the list has prices"


def _voices(provider: Provider) -> str:
    if not isinstance(provider.voices, Sequence):
        return "asked for there"
    return ", ".join(f"`{each.voice}`" for each in provider.voices) or "what the model has"


def _yes(value: object) -> str:
    return "yes" if value else "no"


def _offered() -> Iterator[dict[str, Any]]:
    for name in MODEL_FILES:
        yield from orjson.loads(files("trunkline_server.data").joinpath(name).read_bytes())


def _model(each: dict[str, Any]) -> Model:
    prices = each.get("prices")
    units = prices[-1]["tiers"][0][1] if prices else {}
    name, told = each["model"], each.get("display_name", "")
    others = ", ".join(unit for unit in units if unit not in ("input", "output"))
    return Model(name, told, each.get("context_window", 0), _usd(units, "input"), _usd(units, "output"), others)


def _usd(units: dict[str, int], unit: str) -> str:
    if unit not in units:
        return UNSAID
    return f"{(Decimal(units[unit]) / NANOS).normalize():f}"
