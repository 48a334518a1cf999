"""Vector stores that a provider's own file search is told to look into: callers name them as we do."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

import orjson

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.store.vector_stores import VectorStores

FILE_SEARCH: Final = "file_search"
STORES: Final = "vector_store_ids"
STORES_MAX: Final = 20


def searches(input: chat_pb2.ChatInput) -> bool:
    """Whether it has such a tool."""
    return any(tool.hosted.type == FILE_SEARCH for tool in input.tools if tool.HasField("hosted"))


async def with_stores(stores: VectorStores, tenant_id: UUID, input: chat_pb2.ChatInput) -> chat_pb2.ChatInput:
    """The question with its provider's names for our vector stores; other names stay as they are."""
    whole = chat_pb2.ChatInput()
    whole.CopyFrom(input)
    for tool in whole.tools:
        if tool.HasField("hosted") and tool.hosted.type == FILE_SEARCH:
            await _rename(stores, tenant_id, tool.hosted)
    return whole


async def _rename(stores: VectorStores, tenant_id: UUID, tool: content_pb2.HostedTool) -> None:
    config: dict[str, Any] = orjson.loads(tool.config_json or "{}")
    named = config.get(STORES)
    if not isinstance(named, list) or len(named) > STORES_MAX:
        return
    config[STORES] = [await _name(stores, tenant_id, tool.provider, each) for each in named]
    tool.config_json = orjson.dumps(config).decode()


async def _name(stores: VectorStores, tenant_id: UUID, provider: str, name: object) -> object:
    try:
        found = await stores.find(tenant_id, name if isinstance(name, str) else "")
    except TrunklineError as error:
        if error.reason is Reason.RESOURCE_NOT_FOUND:
            return name
        raise
    return found.provider_store_id if found.provider == provider else name
