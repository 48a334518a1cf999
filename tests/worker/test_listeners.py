"""Listeners get every event at least once, in order, one process at a time."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from tests.fixtures.until import until
from trunkline.v1 import events_pb2
from trunkline_server.core.ids import new_uuid
from trunkline_server.store.database import Database
from trunkline_server.store.news import News
from trunkline_server.store.outbox import Outbox
from trunkline_server.store.wishes import Wishes
from trunkline_server.worker import listeners
from trunkline_server.worker.listeners import Follower


async def test_two_processes_tell_a_listener_each_event_in_order(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "LOOK_S", 0.02)
    monkeypatch.setattr(listeners, "PAUSE_S", 0.0)
    heard: list[str] = []
    failures = [ValueError("canary")]

    async def listener(_: UUID, event: events_pb2.Event) -> None:
        if failures:
            raise failures.pop()
        heard.append(event.batch_progress.batch_id)

    outbox, wishes = Outbox(database), Wishes(database, timedelta(days=1))
    following = [asyncio.create_task(Follower("hooks", listener, outbox, wishes, News()).follow()) for _ in range(2)]
    await until(lambda: database.fetchval("SELECT EXISTS (SELECT 1 FROM event_checkpoint WHERE name = 'hooks')"))
    for name in ("one", "two", "three"):
        await outbox.emit(new_uuid(), events_pb2.Event(batch_progress=events_pb2.BatchProgress(batch_id=name)))
    await until(lambda: len(heard) == 3)
    for task in following:
        task.cancel()
    await asyncio.gather(*following, return_exceptions=True)
    assert heard == ["one", "two", "three"]
