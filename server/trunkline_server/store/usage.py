"""What every call used and cost: one narrow row without a word of the prompt, written with the close of its hold."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from trunkline.v1 import usage_pb2
from trunkline_server.store import queries
from trunkline_server.store.database import Database

_SQL = queries.load(__file__)


class UsageRow(msgspec.Struct, frozen=True, kw_only=True):
    """One call. The database sets `create_time` as it writes the row; `user_id` is empty for the tenant itself."""

    completion_id: UUID
    tenant_id: UUID
    operation: str
    provider: str
    model: str
    requested_model: str
    price_version: str
    outcome: str
    user_id: str = ""
    key_id: str = ""
    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_output_tokens: int = 0
    unit_counts: Mapping[str, int] = {}
    usage_source: str = ""
    basis: str = "none"  # provider_usage | counted_partial | estimate | none
    cost_nano_usd: int = 0
    charge_nanos: int = 0
    finish_reason: str = ""
    error_reason: str = ""
    attempts: int = 1
    first_token_ms: int = 0
    duration_ms: int = 0
    labels: Mapping[str, str] = {}
    request_id: str = ""
    create_time: datetime | None = None

    def message(self) -> usage_pb2.Usage:
        """What was used, as callers are told."""
        return usage_pb2.Usage(
            input_tokens=self.input_tokens,
            cached_input_tokens=self.cached_input_tokens,
            cache_write_input_tokens=self.cache_write_input_tokens,
            output_tokens=self.output_tokens,
            reasoning_output_tokens=self.reasoning_output_tokens,
            unit_counts=self.unit_counts,
            source=usage_pb2.UsageSource.Value(self.usage_source),
        )


class Usage:
    """Reads the rows; the ledger writes them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, tenant_id: UUID, completion_id: UUID) -> UsageRow | None:
        """The row of a completion, or None for one that is not there or belongs to another tenant."""
        row = await self._database.of(tenant_id).fetchrow(_SQL.find, tenant_id, completion_id)
        return None if row is None else _row(dict(row))


def _row(fields: dict[str, object]) -> UsageRow:
    for name in ("unit_counts", "labels"):
        fields[name] = msgspec.json.decode(str(fields[name]))
    return msgspec.convert(fields, UsageRow)
