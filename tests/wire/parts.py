"""Questions out of messages of the contract, for the tests of every dialect."""

from __future__ import annotations

from typing import Any

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.ask import Ask

SYSTEM, USER = content_pb2.ROLE_SYSTEM, content_pb2.ROLE_USER
ASSISTANT, TOOL = content_pb2.ROLE_ASSISTANT, content_pb2.ROLE_TOOL
DROPPED = chat_pb2.WARNING_CODE_PARAMETER_DROPPED
ADJUSTED = chat_pb2.WARNING_CODE_PARAMETER_ADJUSTED
STATE_DROPPED = chat_pb2.WARNING_CODE_PROVIDER_STATE_DROPPED


def text(words: str, **fields: Any) -> content_pb2.Part:
    return content_pb2.Part(text=content_pb2.TextPart(text=words), **fields)


def says(role: content_pb2.Role.ValueType, *parts: content_pb2.Part) -> content_pb2.Message:
    return content_pb2.Message(role=role, parts=parts)


def call(call_id: str = "c1", state: content_pb2.ProviderState | None = None, **fields: Any) -> content_pb2.Part:
    called = content_pb2.ToolCallPart(call_id=call_id, name="add", **fields)
    return content_pb2.Part(tool_call=called, provider_state=state)


def result(call_id: str = "c1", **fields: Any) -> content_pb2.Part:
    return content_pb2.Part(tool_result=content_pb2.ToolResultPart(call_id=call_id, **fields))


def warned(ask: Ask) -> list[tuple[int, str]]:
    return [(warning.code, warning.field) for warning in ask.warnings]
