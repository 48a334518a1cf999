"""The tables of prompts and their versions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from trunkline.v1 import prompts_pb2
from trunkline_server.core import ids
from trunkline_server.core.errors import Reason, Resource, TrunklineError, not_found
from trunkline_server.core.moment import timestamp
from trunkline_server.store import queries
from trunkline_server.store.database import Database

_SQL = queries.load(__file__)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A row without its templates."""

    prompt_id: UUID
    name: str
    description: str
    default_version: int
    latest_version: int
    create_time: datetime


class Prompts:
    """A prompt is found by its id or its name, within its tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self, tenant_id: UUID, name: str, description: str, body: prompts_pb2.PromptVersion
    ) -> tuple[Prompt, prompts_pb2.PromptVersion]:
        """With its version 1. Raises RESOURCE_EXISTS."""
        async with self._database.of(tenant_id).transaction() as connection:
            row = await connection.fetchrow(_SQL.create, tenant_id, ids.new_uuid(), name, description)
            if row is None:
                message = f"prompt {name!r} exists already"
                raise TrunklineError(Reason.RESOURCE_EXISTS, message, resource=Resource("prompt", name))
            prompt = Prompt(*row)
            added = (prompt.prompt_id, 1, body.SerializeToString(), body.created_by)
            return prompt, _version(await connection.fetchrow(_SQL.add_version, *added))

    async def find(self, tenant_id: UUID, name: str) -> Prompt:
        """Raises RESOURCE_NOT_FOUND, also for another tenant's."""
        row = await self._database.of(tenant_id).fetchrow(_SQL.find, tenant_id, ids.parse("prompt", name), name)
        if row is None:
            raise not_found("prompt", name)
        return Prompt(*row)

    async def version(self, prompt: Prompt, number: int) -> prompts_pb2.PromptVersion:
        """Number 0 is the default. Raises PROMPT_VERSION_NOT_FOUND."""
        row = await self._database.fetchrow(_SQL.version, prompt.prompt_id, number or prompt.default_version)
        if row is None:
            raise _no_version(prompt, number)
        return _version(row)

    async def page(self, tenant_id: UUID, after: str | None, limit: int) -> list[Prompt]:
        """By name."""
        return [Prompt(*row) for row in await self._database.of(tenant_id).fetch(_SQL.page, tenant_id, after, limit)]

    async def delete(self, tenant_id: UUID, name: str) -> None:
        """With all versions. Raises RESOURCE_NOT_FOUND."""
        if await self._database.of(tenant_id).fetchval(_SQL.delete, tenant_id, ids.parse("prompt", name), name) is None:
            raise not_found("prompt", name)

    async def add_version(
        self, tenant_id: UUID, name: str, body: prompts_pb2.PromptVersion, *, make_default: bool
    ) -> prompts_pb2.PromptVersion:
        """Raises RESOURCE_NOT_FOUND."""
        async with self._database.of(tenant_id).transaction() as connection:
            named = (tenant_id, ids.parse("prompt", name), name)
            row = await connection.fetchrow(_SQL.next_version, *named, make_default)
            if row is None:
                raise not_found("prompt", name)
            added = await connection.fetchrow(_SQL.add_version, *row, body.SerializeToString(), body.created_by)
            return _version(added)

    async def versions(self, prompt: Prompt, before: int | None, limit: int) -> list[prompts_pb2.PromptVersion]:
        """Newest first."""
        return [_version(row) for row in await self._database.fetch(_SQL.versions, prompt.prompt_id, before, limit)]

    async def set_default(self, prompt: Prompt, number: int) -> Prompt:
        """Raises RESOURCE_NOT_FOUND, PROMPT_VERSION_NOT_FOUND."""
        await self.version(prompt, number)
        row = await self._database.fetchrow(_SQL.set_default, prompt.prompt_id, number)
        if row is None:
            raise not_found("prompt", prompt.name)
        return Prompt(*row)


def _version(row: asyncpg.Record | None) -> prompts_pb2.PromptVersion:
    if row is None:
        raise RuntimeError("a version that was added has a row")
    told = prompts_pb2.PromptVersion(
        version=row["version"], created_by=row["created_by"], create_time=timestamp(row["create_time"])
    )
    told.MergeFromString(row["body"])
    return told


def _no_version(prompt: Prompt, number: int) -> TrunklineError:
    return not_found("prompt_version", f"{prompt.name}@{number}", Reason.PROMPT_VERSION_NOT_FOUND)
