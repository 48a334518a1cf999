"""ActionService: what people can do with answers, who executes it, and doing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from trunkline.v1 import actions_pb2
from trunkline_server.core import address, ids
from trunkline_server.core.action import TYPES
from trunkline_server.core.action_proposal import TOOL
from trunkline_server.core.address import EgressPolicy
from trunkline_server.core.call import Call
from trunkline_server.core.errors import invalid
from trunkline_server.core.moment import timestamp
from trunkline_server.core.page_token import PageTokens
from trunkline_server.core.question import check_name
from trunkline_server.gateway.actions.desk import Desk
from trunkline_server.gateway.actions.plugins import Plugins
from trunkline_server.gateway.tools.toolbox import require_scope
from trunkline_server.store.action_handlers import Handler, NewHandler

_DESCRIPTIONS: Final[Mapping[str, str]] = {
    "button": "a button",
    "quick_reply": "a short reply that is sent with a touch",
    "form": "fields to fill in",
    "link": "a link",
    "file_upload": "a place to hand in files",
    "card": "a picture and text with choices below",
    "confirm": "a question that has to be confirmed",
    "menu": "a list to choose from",
    "custom": "something that the caller's own program shows",
}


@dataclass(frozen=True)
class ActionService:
    """Who may be called is judged by `policy` when a handler is made, and again when it is dialled."""

    desk: Desk
    plugins: Plugins
    tokens: PageTokens
    policy: EgressPolicy

    async def list_action_types(
        self, call: Call, request: actions_pb2.ListActionTypesRequest
    ) -> actions_pb2.ListActionTypesResponse:
        types = [
            actions_pb2.ActionTypeInfo(
                type=type_, kind=kind, description=_DESCRIPTIONS[kind], needs_confirmation=kind == "confirm"
            )
            for kind, type_ in TYPES.items()
        ]
        return actions_pb2.ListActionTypesResponse(types=types, proposal_tool=TOOL)

    async def create_action_handler(
        self, call: Call, request: actions_pb2.CreateActionHandlerRequest
    ) -> actions_pb2.CreateActionHandlerResponse:
        new = NewHandler(
            name=request.name,
            action_pattern=request.action_pattern,
            types=sorted(set(request.types)),
            priority=request.priority,
            needs_confirmation=request.needs_confirmation,
            uri=self._uri(request),
            entry_point=self._entry_point(request),
            tool=await self._tool(call, request),
            created_by=call.caller.principal,
        )
        handler, secret = await self.desk.handlers.create(call.caller.tenant_id, new)
        return actions_pb2.CreateActionHandlerResponse(handler=_told(handler), secret=secret)

    async def list_action_handlers(
        self, call: Call, request: actions_pb2.ListActionHandlersRequest
    ) -> actions_pb2.ListActionHandlersResponse:
        paging = self.tokens.paging(call.caller.tenant_id, request)
        after = (int(paging.cursor[0]), UUID(hex=paging.cursor[1])) if paging.cursor else None
        rows = await self.desk.handlers.list(call.caller.tenant_id, after, paging.limit)
        page, token = paging.cut(rows, lambda row: (row.priority, row.handler_id.hex))
        return actions_pb2.ListActionHandlersResponse(handlers=map(_told, page), next_page_token=token)

    async def delete_action_handler(
        self, call: Call, request: actions_pb2.DeleteActionHandlerRequest
    ) -> actions_pb2.DeleteActionHandlerResponse:
        handler_id = ids.require("acth", "action_handler", request.handler_id)
        await self.desk.handlers.delete(call.caller.tenant_id, handler_id)
        return actions_pb2.DeleteActionHandlerResponse()

    async def validate_action(
        self, call: Call, request: actions_pb2.ValidateActionRequest
    ) -> actions_pb2.ValidateActionResponse:
        return await self.desk.validate(call, request)

    async def execute_action(
        self, call: Call, request: actions_pb2.ExecuteActionRequest
    ) -> actions_pb2.ExecuteActionResponse:
        check_name(request.completion_id, "completion_id")
        return actions_pb2.ExecuteActionResponse(result=await self.desk.execute(call, request))

    def _uri(self, request: actions_pb2.CreateActionHandlerRequest) -> str:
        if not request.HasField("callback"):
            return ""
        return address.parse(request.callback.uri, "callback.uri", self.policy).url

    def _entry_point(self, request: actions_pb2.CreateActionHandlerRequest) -> str:
        name = request.entry_point
        if request.HasField("entry_point") and name not in self.plugins.codes:
            raise invalid("entry_point", f"{name!r} is not installed")
        return name

    async def _tool(self, call: Call, request: actions_pb2.CreateActionHandlerRequest) -> str:
        """Whoever executes actions runs it then by the right of who registers it."""
        if request.HasField("tool"):
            require_scope(call)
            await self.desk.by_tool.toolbox.find(call, request.tool)
        return request.tool


def _told(handler: Handler) -> actions_pb2.ActionHandler:
    told = actions_pb2.ActionHandler(
        handler_id=handler.spelled_id,
        name=handler.name,
        action_pattern=handler.action_pattern,
        priority=handler.priority,
        needs_confirmation=handler.needs_confirmation,
        create_time=timestamp(handler.create_time),
    )
    told.types.extend(type_ for type_ in TYPES.values() if type_ in handler.types)
    if handler.uri:
        told.callback.uri = handler.uri
    elif handler.tool:
        told.tool = handler.tool
    else:
        told.entry_point = handler.entry_point
    return told
