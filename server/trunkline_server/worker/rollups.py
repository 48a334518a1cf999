"""The chores of analytics: usage is summed once its hour is over, and old months are dropped."""

from __future__ import annotations

from datetime import timedelta

from trunkline_server.store.database import Database
from trunkline_server.store.rollups import Rollups
from trunkline_server.worker.chores import Chore


def roll_ups(database: Database, keep_days: int) -> list[Chore]:
    """What is not done yet is read from the rows, so that nobody waits for it."""
    rollups = Rollups(database, timedelta(days=keep_days))
    return [
        Chore("roll_up_usage", 120, rollups.catch_up),
        Chore("retain_analytics", 6 * 3600, rollups.retain, first_within_s=600),
    ]
