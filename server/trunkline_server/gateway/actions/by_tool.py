"""Handlers that are tools: run as a model would have them run, on what people gave and what the action brings along."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from trunkline.v1 import actions_pb2
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.gateway.actions.performer import MESSAGE_CHARS_MAX, checked, failed
from trunkline_server.gateway.tools.runner import Ran, Runner
from trunkline_server.gateway.tools.tool import Ask
from trunkline_server.gateway.tools.toolbox import Toolbox
from trunkline_server.store.action_handlers import Handler

TIMEOUT_S: Final = 15.0
_TOLD: Final = {
    Reason.DEADLINE: "TIMEOUT",
    Reason.RESOURCE_NOT_FOUND: "UNREACHABLE",
    Reason.TOOL_CHANGED: "TOOL_CHANGED",
    Reason.VALIDATION: "ARGUMENTS_INVALID",
}
"""Why a tool did not do it, as a result has it."""


@dataclass(frozen=True)
class ByTool:
    """A tool is found anew each time: it may have changed since its handler was made."""

    toolbox: Toolbox
    runner: Runner

    async def need_approval(self, handlers: Iterable[Handler]) -> bool:
        """Whether one of them is a tool that runs only after somebody has said yes."""
        return any([await self._needs_approval(handler) for handler in handlers if handler.tool])

    async def perform(self, handler: Handler, invocation: actions_pb2.ActionInvocation) -> actions_pb2.ActionAnswer:
        deadline = asyncio.get_running_loop().time() + TIMEOUT_S
        ask = Ask(invocation.execution_id, _arguments(invocation))
        try:
            async with asyncio.timeout_at(deadline):
                tool = await self.toolbox.of(handler.tenant_id, handler.tool)
            return _answer(await self.runner.insist(tool, ask, deadline))
        except TimeoutError:
            return failed(_TOLD[Reason.DEADLINE])
        except TrunklineError as error:
            return failed(_TOLD.get(error.reason, Reason.TOOL_FAILED.value))

    async def _needs_approval(self, handler: Handler) -> bool:
        """One that is gone, or is not what was approved, does nothing."""
        try:
            return (await self.toolbox.of(handler.tenant_id, handler.tool)).spec.needs_approval
        except TrunklineError as error:
            if error.reason not in (Reason.RESOURCE_NOT_FOUND, Reason.TOOL_CHANGED):
                raise
            return False


def _arguments(invocation: actions_pb2.ActionInvocation) -> str:
    """Of both objects; what the action brings along wins, for people had no say in it."""
    given, brought = invocation.arguments_json, invocation.action.payload_json
    return json.dumps(json.loads(given) | json.loads(brought)) if brought else given


def _answer(ran: Ran) -> actions_pb2.ActionAnswer:
    text = "".join(part.text.text for part in ran.result.parts)
    if ran.result.is_error:
        answer = failed(Reason.TOOL_FAILED.value)
        answer.message = text[:MESSAGE_CHARS_MAX]
        return answer
    if ran.result.structured_json:
        return checked(actions_pb2.ActionAnswer(data_json=ran.result.structured_json))
    return checked(actions_pb2.ActionAnswer(message=text[:MESSAGE_CHARS_MAX]))
