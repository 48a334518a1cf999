"""Runs a tool: its arguments meet its schema, its time is bounded, and what it says is cut and only ever data."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from trunkline.v1 import chat_pb2, content_pb2, tools_pb2
from trunkline_server.core import schema
from trunkline_server.core.errors import Reason, TrunklineError, invalid
from trunkline_server.core.json_text import check_object
from trunkline_server.gateway.tools.tool import Ask, Said, Tool

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ToolSettings:
    """What the operator allows, in a call and in a tool."""

    rounds_max: int
    parallel_max: int
    timeout_s: float
    result_bytes_max: int


@dataclass(frozen=True, slots=True)
class Ran:
    """A result, and how it came about."""

    result: content_pb2.ToolResultPart
    run: chat_pb2.ToolRun


@dataclass(frozen=True, slots=True)
class Runner:
    """`run` is for models, who are told of failures; `insist` for callers, for whom they are errors."""

    settings: ToolSettings

    async def run(self, tool: Tool, call: content_pb2.ToolCallPart, deadline: float) -> Ran:
        """Never raises a TrunklineError: the model hears of it and goes on."""
        began = asyncio.get_running_loop().time()
        try:
            return await self.insist(tool, Ask(call.call_id, call.arguments_json), deadline)
        except TrunklineError as error:
            _log.info("tool.failed name=%s reason=%s", tool.spec.name, error.reason.value)
            return failed(call, error, asyncio.get_running_loop().time() - began)

    async def insist(self, tool: Tool, ask: Ask, deadline: float) -> Ran:
        """Raises VALIDATION, DEADLINE, and what the tool raises."""
        check_arguments(tool, ask.arguments_json)
        loop = asyncio.get_running_loop()
        began = loop.time()
        timeout = asyncio.timeout_at(min(deadline, began + self._timeout_s(tool)))
        try:
            async with timeout:
                said = await tool.run(ask)
        except TimeoutError:
            raise TrunklineError(
                Reason.DEADLINE, "the tool did not answer in time", metadata={"stage": "tool"}
            ) from None
        return self._ran(tool, ask, said, loop.time() - began)

    def _ran(self, tool: Tool, ask: Ask, said: Said, took_s: float) -> Ran:
        spelled = said.text.encode("utf-8", "replace")
        text, truncated = _cut(spelled, self._bytes_max(tool))
        name = tool.spec.name
        result = content_pb2.ToolResultPart(call_id=ask.call_id, name=name, is_error=said.is_error)
        result.parts.add().text.text = text
        if said.is_json and not truncated:
            result.structured_json = text
        state = chat_pb2.TOOL_RUN_STATE_FAILED if said.is_error else chat_pb2.TOOL_RUN_STATE_SUCCEEDED
        run = chat_pb2.ToolRun(call_id=ask.call_id, name=name, state=state, truncated=truncated)
        run.failure_reason = Reason.TOOL_FAILED.value if said.is_error else ""
        run.duration.FromNanoseconds(round(took_s * 1e9))
        run.result_byte_count = len(spelled)
        return Ran(result, run)

    def _timeout_s(self, tool: Tool) -> float:
        wanted = tool.spec.timeout
        wanted_s = wanted.seconds + wanted.nanos / 1e9 if tool.spec.HasField("timeout") else self.settings.timeout_s
        return min(wanted_s, self.settings.timeout_s)

    def _bytes_max(self, tool: Tool) -> int:
        return min(tool.spec.result_bytes_max or self.settings.result_bytes_max, self.settings.result_bytes_max)


def told(ran: Ran) -> tools_pb2.InvokeToolResponse:
    """For those who asked for the tool themselves."""
    run = ran.run
    outcome = tools_pb2.ToolOutcome(
        duration=run.duration, result_byte_count=run.result_byte_count, truncated=run.truncated
    )
    return tools_pb2.InvokeToolResponse(result=ran.result, outcome=outcome)


def retold(response: tools_pb2.InvokeToolResponse, call: content_pb2.ToolCallPart) -> Ran:
    """What was told of a tool that ran for this call of a model's."""
    outcome, result = response.outcome, content_pb2.ToolResultPart()
    result.CopyFrom(response.result)
    result.call_id = call.call_id
    run = chat_pb2.ToolRun(
        call_id=call.call_id,
        name=call.name,
        state=chat_pb2.TOOL_RUN_STATE_FAILED if result.is_error else chat_pb2.TOOL_RUN_STATE_SUCCEEDED,
        failure_reason=Reason.TOOL_FAILED.value if result.is_error else "",
        duration=outcome.duration,
        result_byte_count=outcome.result_byte_count,
        truncated=outcome.truncated,
    )
    return Ran(result, run)


def check_arguments(tool: Tool, arguments_json: str) -> None:
    """By us, whatever the provider promised. Raises VALIDATION."""
    text = arguments_json or "{}"
    arguments = check_object(text, "arguments_json")
    spelled = tool.spec.parameters_json_schema
    if not spelled:
        if arguments:
            raise invalid("arguments_json", "must be empty: the tool takes no arguments")
        return
    if faults := schema.compile(spelled, "parameters_json_schema").faults(text):
        raise invalid("arguments_json", "; ".join(faults))


def failed(call: content_pb2.ToolCallPart, error: TrunklineError, took_s: float = 0.0) -> Ran:
    """What a model hears of a failure: public words, and what was wrong with its arguments."""
    told = "; ".join(each.description for each in error.violations) or error.message
    ran = Ran(
        content_pb2.ToolResultPart(call_id=call.call_id, name=call.name, is_error=True),
        chat_pb2.ToolRun(
            call_id=call.call_id,
            name=call.name,
            state=chat_pb2.TOOL_RUN_STATE_FAILED,
            failure_reason=error.reason.value,
        ),
    )
    ran.result.parts.add().text.text = f"{error.reason.value}: {told}"
    ran.run.duration.FromNanoseconds(round(took_s * 1e9))
    return ran


def declined(call: content_pb2.ToolCallPart) -> Ran:
    """Somebody said no."""
    ran = failed(call, TrunklineError(Reason.CANCELLED, "declined by a person"))
    ran.run.state = chat_pb2.TOOL_RUN_STATE_DECLINED
    return ran


def _cut(spelled: bytes, bytes_max: int) -> tuple[str, bool]:
    """Its beginning, without the NULs that no store keeps, and whether that is not all."""
    kept = spelled.replace(b"\0", b"")
    if len(kept) <= bytes_max:
        return kept.decode(), False
    return kept[:bytes_max].decode("utf-8", "ignore"), True
