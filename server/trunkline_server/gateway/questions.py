"""A question to a chat model with all that goes with it: files in it, or in a store that the provider searches in."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.call import Call
from trunkline_server.core.errors import Reason, invalid
from trunkline_server.core.text import readable
from trunkline_server.gateway.abroad import abroad
from trunkline_server.gateway.attachments import is_shown
from trunkline_server.gateway.file_search import STORES
from trunkline_server.gateway.file_stores import FileStores
from trunkline_server.gateway.media import Media
from trunkline_server.gateway.routes import Route
from trunkline_server.store.files import FileRow


@dataclass(frozen=True)
class Questions:
    """For calls and jobs."""

    media: Media
    stores: FileStores

    def whole(
        self, call: Call, input: chat_pb2.ChatInput, route: Route, *, asked: bool = True
    ) -> Coroutine[Any, Any, chat_pb2.ChatInput]:
        """As the provider takes it; where nobody is `asked`, nothing is made there. Raises as `Media.inline` does."""
        if input.file_search:
            return self._with_store(call, input, route, asked=asked)
        return self._inline(call, input, route)

    async def _with_store(
        self, call: Call, input: chat_pb2.ChatInput, route: Route, *, asked: bool
    ) -> chat_pb2.ChatInput:
        return await self._inline(call, await self._searched(call, input, route, asked=asked), route)

    def _inline(self, call: Call, input: chat_pb2.ChatInput, route: Route) -> Coroutine[Any, Any, chat_pb2.ChatInput]:
        return self.media.inline(call.caller.tenant_id, input, takes_urls=route.upstream.provider.takes_urls)

    async def _searched(
        self, call: Call, input: chat_pb2.ChatInput, route: Route, *, asked: bool
    ) -> chat_pb2.ChatInput:
        """With a tool in place of the files; where the provider has none, as it is, which its answer warns of."""
        craft = route.upstream.provider.stores
        if craft is None or not craft.search_tool:
            if input.strict_parameters:
                raise invalid("input.file_search", "is nothing that the provider does", Reason.PARAMETER_UNSUPPORTED)
            return input
        files = await self._files(call, input)
        documents = [file for file in files if not is_shown(file)]
        whole = chat_pb2.ChatInput()
        whole.CopyFrom(input)
        whole.file_search = False
        whole.file_ids[:] = [file.name for file in files if is_shown(file)]
        if documents:
            store = await self._store(call, route, documents, asked=asked)
            _look_into(whole, route.provider, craft.search_tool, store)
        return whole

    async def _files(self, call: Call, input: chat_pb2.ChatInput) -> list[FileRow]:
        """Each once. Raises RESOURCE_NOT_FOUND."""
        find, tenant_id = self.stores.copies.archive.files.find, call.caller.tenant_id
        return [await find(tenant_id, readable("input.file_ids", name)) for name in dict.fromkeys(input.file_ids)]

    async def _store(self, call: Call, route: Route, files: Sequence[FileRow], *, asked: bool) -> str | None:
        there = abroad(self.stores.copies.routes, call.caller, route.provider)
        return await (self.stores.at if asked else self.stores.known)(there, call.caller.tenant_id, files)


def _look_into(input: chat_pb2.ChatInput, provider: str, type_: str, store: str | None) -> None:
    """Offers the store to the model; nobody but the provider that has it can answer."""
    tool = next((each.hosted for each in input.tools if _is(each.hosted, provider, type_)), None)
    if tool is None:
        tool = input.tools.add().hosted
        tool.provider, tool.type = provider, type_
    config = orjson.loads(tool.config_json or "{}")
    named = config.get(STORES)
    config[STORES] = [*(named if isinstance(named, list) else ()), *([store] if store else ())]
    tool.config_json = orjson.dumps(config).decode()
    input.routing.allowed_providers[:] = [provider]


def _is(tool: content_pb2.HostedTool, provider: str, type_: str) -> bool:
    return tool.provider == provider and tool.type == type_
