"""Brings `data/models.json` up to date with its seeds, genai-prices and our own list. Prices are appended from a day
on, never edited.

Run as `python -m tools.update_models`. With `--check` nothing is written: what would be appended is an error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import msgspec

from tools.model_seed import dated, seeded
from tools.price_list import listed, with_listed
from trunkline_server.core.catalogue import read_entries
from trunkline_server.core.model import ModelEntry
from trunkline_server.core.pricing import Price, in_force

MODELS: Final = Path(__file__).resolve().parent.parent / "server" / "trunkline_server" / "data" / "models.json"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail when there is something to append")
    check: bool = parser.parse_args().check
    written = MODELS.read_bytes() if MODELS.exists() else b""
    known = read_entries(written) if written else []
    seed = with_listed(seeded(), listed())
    updated = spell(merged(known, seed, datetime.now(UTC).date()))
    return report(up_to_date=updated == written) if check else install(updated)


def report(*, up_to_date: bool) -> int:
    if not up_to_date:
        print(f"{MODELS.name} is not what its seed says: run `python -m tools.update_models`", file=sys.stderr)
    return 0 if up_to_date else 1


def install(updated: bytes) -> int:
    MODELS.write_bytes(updated)
    return 0


def spell(entries: Iterable[ModelEntry]) -> bytes:
    """One model a line, so that a change of one is a change of one line."""
    return b"[\n" + b",\n".join(msgspec.json.encode(entry) for entry in entries) + b"\n]\n"


def merged(known: Sequence[ModelEntry], seed: Sequence[ModelEntry], today: date) -> list[ModelEntry]:
    """The seed's models with our prices; models that it forgot stay, behind the others of their provider."""
    old = {entry.name: entry for entry in known}
    fresh = [with_history(entry, old.pop(entry.name, None), today) for entry in seed]
    return sorted([*fresh, *old.values()], key=lambda entry: entry.provider)


def with_history(seed: ModelEntry, old: ModelEntry | None, today: date) -> ModelEntry:
    return msgspec.structs.replace(seed, prices=appended(old.prices, seed.prices, today)) if old else seed


def appended(old: tuple[Price, ...], seed: tuple[Price, ...], today: date) -> tuple[Price, ...]:
    """The old prices, and from today or a later day on those of the seed that differ."""
    rows = list(old)
    for day in sorted({today, *(price.effective_from for price in (*old, *seed) if price.effective_from > today)}):
        before, now = in_force(rows, day), in_force(seed, day)
        if now and (before is None or before.tiers != now.tiers):
            rows.append(dated(day, now.tiers, now.source))
            rows.sort(key=lambda price: price.effective_from)
    return tuple(rows)


if __name__ == "__main__":
    sys.exit(main())
