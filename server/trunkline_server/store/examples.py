"""Where examples to learn from are found: conversations, and chats that were jobs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from trunkline.v1 import content_pb2, jobs_pb2
from trunkline_server.store import queries
from trunkline_server.store.conversation_messages import ConversationMessages
from trunkline_server.store.database import Database

_SQL = queries.load(__file__)

MESSAGES_MAX: Final = 1000
"""Of one conversation."""
JOBS_AT_ONCE: Final = 200
PARTS_MAX: Final = 5000
"""A million jobs are looked through, the newest first."""


@dataclass(frozen=True, slots=True)
class Sought:
    """What is not said does not narrow."""

    user_id: str = ""
    start_time: datetime | None = None
    end_time: datetime | None = None
    conversation_ids: Sequence[UUID] = ()
    batch_id: UUID | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


class Spoken(NamedTuple):
    """What was said, and the tools that there were."""

    messages: Sequence[content_pb2.Message]
    tools: Sequence[content_pb2.Tool] = ()


class Examples:
    """Newest first."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._messages = ConversationMessages(database)

    async def conversations(self, tenant_id: UUID, sought: Sought, most: int) -> list[tuple[UUID, str]]:
        """Each with its system prompt."""
        named = list(sought.conversation_ids) or None
        asked = (tenant_id, named, sought.user_id or None, sought.start_time, sought.end_time, most)
        return [(row[0], row[1]) for row in await self._database.of(tenant_id).fetch(_SQL.conversations, *asked)]

    async def spoken(self, conversation_id: UUID, system_prompt: str) -> Spoken:
        """All of a conversation, with its system prompt in front."""
        first = content_pb2.Message(role=content_pb2.ROLE_SYSTEM)
        first.parts.add().text.text = system_prompt
        said = await self._messages.page(conversation_id, None, MESSAGES_MAX, newest_first=False)
        return Spoken([*([first] if system_prompt else []), *(each.message for each in said)])

    async def jobs(self, tenant_id: UUID, sought: Sought) -> AsyncGenerator[Spoken, None]:
        """Chats that have succeeded, a part of the table at a time."""
        before: UUID | None = None
        labels = msgspec.json.encode(sought.labels).decode()
        for _ in range(PARTS_MAX):
            narrowed = (sought.user_id or None, sought.batch_id, labels, sought.start_time, sought.end_time)
            rows = await self._database.fetch(_SQL.jobs, tenant_id, before, *narrowed, JOBS_AT_ONCE)
            for row in rows:
                if row[1] is not None:
                    yield _chat(row[1], row[2])
            if len(rows) < JOBS_AT_ONCE:
                return
            before = rows[-1][0]


def _chat(spec: bytes, result: bytes) -> Spoken:
    asked = jobs_pb2.JobSpec.FromString(spec).chat
    if asked.conversation_id or asked.assistant_id or asked.HasField("prompt"):
        return Spoken(())  # the whole question stands elsewhere, and may have changed
    answers = jobs_pb2.JobResult.FromString(result).completion.candidates
    return Spoken([*asked.messages, *(answer.message for answer in answers[:1])], asked.tools)
