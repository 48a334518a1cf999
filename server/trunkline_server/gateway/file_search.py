"""Vector stores that a provider's own file search is told to look into: callers name them as we do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.errors import Reason, TrunklineError, invalid, not_found
from trunkline_server.core.text import readable
from trunkline_server.store.vector_stores import VectorStores

FILE_SEARCH: Final = "file_search"
STORES: Final = "vector_store_ids"
STORES_MAX: Final = 20
_PATH: Final = "input.tools.hosted.config_json"


def searches(input: chat_pb2.ChatInput) -> bool:
    """Whether it has such a tool."""
    return any(tool.hosted.type == FILE_SEARCH for tool in input.tools if tool.HasField("hosted"))


@dataclass(frozen=True, slots=True)
class FileSearch:
    """`has_own`: whether a tenant goes to a provider with a key of its own. There, whatever it names is its own; with
    ours, the stores of all other tenants are in the same account."""

    stores: VectorStores
    has_own: Callable[[UUID, str], bool]

    async def named(self, tenant_id: UUID, input: chat_pb2.ChatInput) -> chat_pb2.ChatInput:
        """The question with its provider's names for our vector stores. Raises RESOURCE_NOT_FOUND, VALIDATION."""
        whole = chat_pb2.ChatInput()
        whole.CopyFrom(input)
        for tool in whole.tools:
            if tool.HasField("hosted") and tool.hosted.type == FILE_SEARCH:
                await self._rename(tenant_id, tool.hosted)
        return whole

    async def _rename(self, tenant_id: UUID, tool: content_pb2.HostedTool) -> None:
        config: dict[str, Any] = orjson.loads(tool.config_json or "{}")
        if STORES not in config:
            return
        names, is_free = config[STORES], self.has_own(tenant_id, tool.provider)
        if not (isinstance(names, list) and len(names) <= STORES_MAX and all(isinstance(each, str) for each in names)):
            raise invalid(_PATH, f"{STORES} must be a list of at most {STORES_MAX} ids")
        config[STORES] = [await self._name(tenant_id, tool.provider, each, is_free=is_free) for each in names]
        tool.config_json = orjson.dumps(config).decode()

    async def _name(self, tenant_id: UUID, provider: str, name: str, *, is_free: bool) -> str:
        try:
            found = await self.stores.find(tenant_id, readable(_PATH, name))
        except TrunklineError as error:
            if is_free and error.reason is Reason.RESOURCE_NOT_FOUND:
                return name
            raise
        if found.provider != provider:
            raise not_found("vector store", name)
        return found.provider_store_id
