"""Nonces of signed requests: each counts once, and where nobody remembers, none does."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.store.connection import DatabaseSettings
from trunkline_server.store.database import Database
from trunkline_server.store.nonces import Nonce, Nonces


def nonce(text: str, key_id: str = "k" * 12, lives_s: float = 60) -> Nonce:
    return Nonce(key_id, text, datetime.now(UTC) + timedelta(seconds=lives_s))


async def test_a_nonce_counts_once_whoever_asks_and_however_many_at_once(database: Database) -> None:
    here, there = Nonces(database), Nonces(database)
    wanted = [nonce(text, key_id) for text in "abc" for key_id in ("k" * 12, "l" * 12)] * 5
    told = await asyncio.gather(*(each.spend(one) for one in wanted for each in (here, there)))
    assert sum(told) == 6
    assert await here.spend(nonce("d"))


async def test_only_those_whose_time_is_over_are_forgotten(database: Database) -> None:
    nonces = Nonces(database)
    old, new = nonce("old", lives_s=-1), nonce("new")
    assert [await nonces.spend(each) for each in (old, new)] == [True, True]
    await nonces.purge()
    assert [await nonces.spend(each) for each in (old, new)] == [True, False]


async def test_without_a_database_nothing_is_let_in() -> None:
    away = await Database.open(DatabaseSettings("postgresql://nobody@127.0.0.1:1/none", acquire_timeout_s=0.2))
    with pytest.raises(TrunklineError) as refused:
        await Nonces(away).spend(nonce("a"))
    assert refused.value.reason is Reason.STORE_UNAVAILABLE
    await away.close()
