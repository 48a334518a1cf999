"""What is due is found by an index over its time: the clock of each row would mean that all rows are read."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

import trunkline_server.store
from trunkline_server.store import queries
from trunkline_server.store.database import Database

DAY: Final = timedelta(days=1)


@pytest.mark.parametrize(
    ("statement", "asked"),
    [
        ("browser_tokens.purge", ()),
        ("budgets.expire", ()),
        ("idempotency.purge", (DAY, 1)),
        ("inbound_webhooks.purge", (DAY,)),
        ("jobs.purge", (DAY, 1)),
        ("ledger.due", (1,)),
        ("nonces.purge", ()),
        ("similar_answers.forget", ()),
        ("upkeep.purge", (DAY, 1)),
        ("webhook_deliveries.purge", (DAY, 1)),
    ],
)
async def test_what_is_due_is_found_by_its_time(database: Database, statement: str, asked: tuple[object, ...]) -> None:
    file, name = statement.split(".")
    sql = queries.load(str(Path(trunkline_server.store.__file__).with_name(f"{file}.py")))
    async with database.transaction() as connection:
        await connection.execute("SET LOCAL enable_seqscan = off")
        plan = [row[0] for row in await connection.fetch(f"EXPLAIN {getattr(sql, name)}", *asked)]
    assert any("Index Cond: " in line and "statement_timestamp()" in line for line in plan), plan
