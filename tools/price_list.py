"""Models and prices that the seed lacks, from the providers' public price lists: `prices.json`, a row for a model.

`usd` is a price as the provider tells it: so many dollars for so many of our units (`["0.006", 60000]` with `audio_ms`
is 0.006 USD a minute). A row for a model of the seed replaces its prices; more `names` mean the same model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final

import msgspec

from tools.model_seed import dated, nanos
from trunkline_server.core.clause import Clause, Equals, Or
from trunkline_server.core.model import ModelEntry
from trunkline_server.core.pricing import BEGINNING, FREE, Price, Tier

SOURCE: Final = "public price list"
PATH: Final = Path(__file__).with_name("prices.json")

Quote = tuple[Decimal, Annotated[int, msgspec.Meta(ge=1)]]


class Listed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model costs from a day on: `usd`, or nothing where it is said to be free."""

    provider: str
    model: str
    names: tuple[str, ...] = ()
    display_name: str = ""
    context_window: int = 0
    since: date = BEGINNING
    usd: Mapping[str, Quote] = msgspec.field(default_factory=dict)
    free: bool = False

    def __post_init__(self) -> None:
        if self.free == bool(self.usd):
            raise ValueError(f"{self.provider}/{self.model}: a model is free or has a price, and only one of them")

    @property
    def price(self) -> Price:
        units = {unit: nanos(usd, per) for unit, (usd, per) in self.usd.items()}
        return dated(self.since, (Tier(0, units or dict(FREE)),), SOURCE)

    @property
    def clause(self) -> Clause | None:
        return Or(tuple(map(Equals, (self.model, *self.names)))) if self.names else None


ROWS: Final = msgspec.json.Decoder(list[Listed])


def listed(path: Path = PATH) -> list[ModelEntry]:
    """The list, as models; several rows of one model are its prices by day."""
    by_model: dict[tuple[str, str], list[Listed]] = {}
    for row in ROWS.decode(path.read_bytes()):
        by_model.setdefault((row.provider, row.model), []).append(row)
    return [_entry(rows) for rows in by_model.values()]


def with_listed(seed: Sequence[ModelEntry], own: Iterable[ModelEntry]) -> list[ModelEntry]:
    """The seed with our list on top: prices of its models replaced, other models behind them."""
    entries = {entry.name: entry for entry in seed}
    for entry in own:
        known = entries.get(entry.name)
        entries[entry.name] = msgspec.structs.replace(known, prices=entry.prices) if known else entry
    return list(entries.values())


def _entry(rows: Sequence[Listed]) -> ModelEntry:
    first = rows[0]
    return ModelEntry(
        provider=first.provider,
        model=first.model,
        display_name=first.display_name or first.model,
        match=first.clause,
        context_window=first.context_window,
        prices=tuple(sorted((row.price for row in rows), key=lambda price: price.effective_from)),
    )
