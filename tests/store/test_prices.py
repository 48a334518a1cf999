"""Prices, aliases and offers, as stored."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import asyncpg
import pytest

from trunkline_server.core.model import ModelEntry
from trunkline_server.core.pricing import Price, Tier
from trunkline_server.store.aliases import Aliases
from trunkline_server.store.database import Database
from trunkline_server.store.offers import CHANNEL, Difference, Offers
from trunkline_server.store.prices import Prices

MOMENT = datetime(2026, 3, 4, 5, 6, 7, 891011, tzinfo=UTC)
PRICE = Price("v", MOMENT.date(), (Tier(0, {"input": 1}), Tier(9, {"input": 2**62})), MOMENT.time(), "a letter")


async def test_a_price_comes_back_as_it_went(database: Database) -> None:
    prices = Prices(database)
    await prices.add("acme", "big/one", PRICE, "root")
    assert await prices.all() == {"acme/big/one": [PRICE]}
    assert PRICE.effective_time == MOMENT


@pytest.mark.parametrize("change", ["UPDATE price SET version = 'w'", "DELETE FROM price", "TRUNCATE price"])
async def test_a_price_stands(database: Database, change: str) -> None:
    await Prices(database).add("acme", "big", PRICE, "root")
    with pytest.raises(asyncpg.RestrictViolationError):
        await database.execute(change)


async def test_every_change_is_announced(database: Database) -> None:
    heard: asyncio.Queue[str | None] = asyncio.Queue()
    await database.listen(CHANNEL, heard.put_nowait)
    changes = [
        Prices(database).add("acme", "big", PRICE, "root"),
        Aliases(database).set("fast", ["acme/big"], "root"),
        Aliases(database).delete("fast"),
        Offers(database).note("acme", [ModelEntry("acme", "big")]),
    ]
    for change in changes:
        await change
        await asyncio.wait_for(heard.get(), 5)


async def test_offers_differ_from_those_before(database: Database) -> None:
    offers = Offers(database)
    a, b, c = (ModelEntry("acme", name, context_window=1) for name in "abc")
    more = ModelEntry("acme", "b", "Bee", context_window=2)
    assert await offers.note("acme", [b, a]) == Difference(["a", "b"], [], [])
    assert await offers.note("acme", [a, b]) == Difference([], [], [])
    assert await offers.note("acme", [more, c]) == Difference(["c"], ["b"], ["a"])
    assert sorted(await offers.all(), key=lambda entry: entry.model) == [more, c]
    assert await offers.note("acme", [a, more, c]) == Difference(["a"], [], [])
    assert await offers.note("other", []) == Difference([], [], [])


async def test_two_who_note_at_once_agree(database: Database) -> None:
    offers = Offers(database)
    entries = [ModelEntry("acme", f"m{n}") for n in range(50)]
    told = await asyncio.gather(*(offers.note("acme", entries) for _ in range(4)))
    assert sorted(len(each.added) for each in told) == [0, 0, 0, 50]
