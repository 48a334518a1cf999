"""What providers offer: the last list of each, and how it differs from the one before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from trunkline.v1 import events_pb2
from trunkline_server.core.model import ModelEntry
from trunkline_server.store import outbox, queries
from trunkline_server.store.connection import Connection
from trunkline_server.store.database import Database

CHANNEL = "trunkline_models"

_SQL = queries.load(__file__)


@dataclass(frozen=True, slots=True)
class Difference:
    """Names of models, each list in order."""

    added: Sequence[str]
    changed: Sequence[str]
    gone: Sequence[str]

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.gone)


class Offers:
    """The table of models that providers offer. One that is gone stays as a row, and is added when it is back."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[ModelEntry]:
        """What is offered now."""
        return [_entry(row) for row in await self._database.fetch(_SQL.all)]

    async def note(self, provider: str, offered: Iterable[ModelEntry]) -> Difference:
        """Keep the list of a provider, and say what is new about it."""
        now = {entry.model: entry for entry in offered}
        async with self._database.transaction() as connection:
            await connection.execute(_SQL.lock, provider)
            before = {row["model"]: _entry(row) for row in await connection.fetch(_SQL.of_provider, provider)}
            difference = _difference(before, now)
            await _put(connection, [now[name] for name in (*difference.added, *difference.changed)])
            if difference.gone:
                await connection.execute(_SQL.lose, provider, difference.gone)
            if difference:
                await outbox.write(connection, outbox.EVERYONE, _event(provider, len(now), difference))
        return difference


async def _put(connection: Connection, entries: Sequence[ModelEntry]) -> None:
    if entries:
        names = ([entry.provider for entry in entries], [entry.model for entry in entries])
        limits = ([entry.context_window for entry in entries], [entry.max_output_tokens for entry in entries])
        await connection.execute(_SQL.put, *names, [entry.display_name for entry in entries], *limits)


def _difference(before: Mapping[str, ModelEntry], now: Mapping[str, ModelEntry]) -> Difference:
    return Difference(
        added=sorted(now.keys() - before.keys()),
        changed=sorted(name for name in now.keys() & before.keys() if now[name] != before[name]),
        gone=sorted(before.keys() - now.keys()),
    )


def _event(provider: str, model_count: int, difference: Difference) -> events_pb2.Event:
    synced = events_pb2.ModelSynced(
        provider=provider,
        model_count=model_count,
        added_count=len(difference.added),
        changed_count=len(difference.changed),
        gone_count=len(difference.gone),
    )
    return events_pb2.Event(model_synced=synced)


def _entry(row: asyncpg.Record) -> ModelEntry:
    limits = {"context_window": row["context_window"], "max_output_tokens": row["max_output_tokens"]}
    return ModelEntry(row["provider"], row["model"], row["display_name"], **limits)
