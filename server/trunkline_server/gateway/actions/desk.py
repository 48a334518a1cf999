"""The desk where actions are handed in: confirmed where they have to be, given to the first handler that takes them.

validate ──▶ token                  execute ──▶ token used up ──▶ handler ──(declines)──▶ next handler ... ──▶ result
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from trunkline.v1 import actions_pb2, events_pb2
from trunkline_server.core import action as rules
from trunkline_server.core import ids
from trunkline_server.core.call import Call
from trunkline_server.core.confirmation import LIFE_S, Confirmations, Subject
from trunkline_server.core.errors import FieldViolation, Reason, TrunklineError, not_found
from trunkline_server.core.moment import timestamp
from trunkline_server.gateway.actions.by_tool import ByTool
from trunkline_server.gateway.actions.performer import Performer
from trunkline_server.store.action_handlers import ActionHandlers, Handler
from trunkline_server.store.outbox import Outbox

_log = logging.getLogger(__name__)

DECLINED: Final = actions_pb2.ActionAnswer(status=actions_pb2.ACTION_STATUS_DECLINED)


@dataclass(frozen=True)
class Desk:
    """`at_addresses`, `in_process` and `by_tool` are the ways to execute."""

    handlers: ActionHandlers
    confirmations: Confirmations
    outbox: Outbox
    at_addresses: Performer
    in_process: Performer
    by_tool: ByTool

    async def validate(
        self, call: Call, request: actions_pb2.ValidateActionRequest
    ) -> actions_pb2.ValidateActionResponse:
        """Everything that is wrong; where nothing is, a token for what has to be confirmed."""
        found = _faults(request.action, request.arguments_json)
        handlers = [] if found else await self._handlers(call, request.action)
        needed = await self._is_to_confirm(request.action, handlers)
        told = actions_pb2.ValidateActionResponse(valid=not found, needs_confirmation=needed)
        told.faults.extend(actions_pb2.ActionFault(field=each.field, description=each.description) for each in found)
        if needed and not found:
            expire_s = int(time.time()) + LIFE_S
            subject = _subject(call, request.action, request.arguments_json)
            told.confirmation_token = self.confirmations.give(subject, expire_s)
            told.token_expire_time.FromSeconds(expire_s)
        await self.outbox.emit(call.caller.tenant_id, _validated(call, request.action, told))
        return told

    async def execute(self, call: Call, request: actions_pb2.ExecuteActionRequest) -> actions_pb2.ActionResult:
        """Raises VALIDATION, RESOURCE_NOT_FOUND, CONFIRMATION_REQUIRED."""
        if found := _faults(request.action, request.arguments_json):
            raise TrunklineError(Reason.VALIDATION, f"{found[0].field}: {found[0].description}", violations=found)
        handlers = await self._handlers(call, request.action)
        if not handlers:
            raise not_found("action_handler", request.action.name)
        if await self._is_to_confirm(request.action, handlers):
            await self._confirm(call, request)
        invocation = _invocation(call, request)
        answer, handler = await self._performed(handlers, invocation)
        result = _result(invocation.execution_id, handler, answer)
        told = asyncio.ensure_future(self._tell(call, _executed(invocation, request, result)))
        await asyncio.shield(told)  # what was done is told, also where its caller has left
        return result

    async def _tell(self, call: Call, event: events_pb2.Event) -> None:
        """With the database away nobody hears of it but the caller, who must not take it for undone."""
        try:
            await self.outbox.emit(call.caller.tenant_id, event)
        except TrunklineError as error:
            execution_id = event.action_executed.execution_id
            _log.error("action.untold execution=%s reason=%s", execution_id, error.reason.value)

    async def _handlers(self, call: Call, action: actions_pb2.Action) -> Sequence[Handler]:
        return await self.handlers.for_action(call.caller.tenant_id, action.name, rules.type_of(action))

    async def _is_to_confirm(self, action: actions_pb2.Action, handlers: Sequence[Handler]) -> bool:
        """Because of what it is, or because of anybody who might do it."""
        if rules.needs_confirmation(action) or any(handler.needs_confirmation for handler in handlers):
            return True
        return await self.by_tool.need_approval(handlers)

    async def _confirm(self, call: Call, request: actions_pb2.ExecuteActionRequest) -> None:
        """Uses the token up, whatever becomes of the action. Raises CONFIRMATION_REQUIRED."""
        subject = _subject(call, request.action, request.arguments_json)
        confirmed = self.confirmations.read(subject, request.confirmation_token, time.time())
        if confirmed is not None:
            end = datetime.fromtimestamp(confirmed.expire_s, UTC)
            if await self.handlers.confirm(confirmed.mark, end):
                return
        raise TrunklineError(
            Reason.CONFIRMATION_REQUIRED,
            "confirmation_token: is missing, over, used, or for another user, action or arguments; see ValidateAction",
        )

    async def _performed(
        self, handlers: Iterable[Handler], invocation: actions_pb2.ActionInvocation
    ) -> tuple[actions_pb2.ActionAnswer, Handler | None]:
        """By the first that does not decline."""
        for handler in handlers:
            answer = await self._performer(handler).perform(handler, invocation)
            if answer.status != actions_pb2.ACTION_STATUS_DECLINED:
                return answer, handler
        return DECLINED, None

    def _performer(self, handler: Handler) -> Performer:
        if handler.tool:
            return self.by_tool
        return self.at_addresses if handler.uri else self.in_process


def _faults(action: actions_pb2.Action, arguments_json: str) -> list[FieldViolation]:
    return rules.faults(action, "action") or rules.argument_faults(action, arguments_json, "arguments_json")


def _subject(call: Call, action: actions_pb2.Action, arguments_json: str) -> Subject:
    return Subject(call.caller.tenant_id, call.user_id, action, arguments_json)


def _invocation(call: Call, request: actions_pb2.ExecuteActionRequest) -> actions_pb2.ActionInvocation:
    return actions_pb2.ActionInvocation(
        execution_id=ids.spell("aexec", ids.new_uuid()),
        action=request.action,
        arguments_json=request.arguments_json or "{}",
        user_id=call.user_id,
        completion_id=request.completion_id,
    )


def _result(execution_id: str, handler: Handler | None, answer: actions_pb2.ActionAnswer) -> actions_pb2.ActionResult:
    return actions_pb2.ActionResult(
        execution_id=execution_id,
        status=answer.status,
        handler_id=handler.spelled_id if handler else "",
        message=answer.message,
        data_json=answer.data_json,
        error_reason=answer.error_reason,
        end_time=timestamp(datetime.now(UTC)),
    )


def _validated(call: Call, action: actions_pb2.Action, told: actions_pb2.ValidateActionResponse) -> events_pb2.Event:
    validated = events_pb2.ActionValidated(
        action_id=action.action_id,
        name=action.name,
        action_type=rules.type_of(action),
        valid=told.valid,
        token_given=bool(told.confirmation_token),
        user_id=call.user_id,
    )
    return events_pb2.Event(action_validated=validated)


def _executed(
    invocation: actions_pb2.ActionInvocation,
    request: actions_pb2.ExecuteActionRequest,
    result: actions_pb2.ActionResult,
) -> events_pb2.Event:
    executed = events_pb2.ActionExecuted(
        execution_id=result.execution_id,
        action_id=request.action.action_id,
        name=request.action.name,
        action_type=rules.type_of(request.action),
        handler_id=result.handler_id,
        status=result.status,
        error_reason=result.error_reason,
        user_id=invocation.user_id,
        completion_id=request.completion_id,
    )
    return events_pb2.Event(action_executed=executed)
