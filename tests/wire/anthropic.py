"""Questions to Anthropic's dialect."""

from __future__ import annotations

import json
from typing import Any

from tests.wire.parts import USER, says, text
from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.wire.anthropic import Anthropic

WIRE = Anthropic()
OLD, NEW, ALWAYS = "claude-haiku-4-5-20251001", "claude-sonnet-5", "claude-fable-5"
FUNCTION = content_pb2.Tool(function=content_pb2.FunctionTool(name="add"))
LOW, HIGH = chat_pb2.REASONING_EFFORT_LOW, chat_pb2.REASONING_EFFORT_HIGH
REQUIRED = content_pb2.ToolChoice(mode=content_pb2.TOOL_CHOICE_MODE_REQUIRED)


def asked(model: str = OLD, cap: int | None = 100, *, stream: bool = False, **question: Any) -> Ask:
    question.setdefault("messages", [says(USER, text("hi"))])
    return Ask("anthropic", model, chat_pb2.ChatInput(**question), stream=stream, max_output_tokens=cap)


def spelled(ask: Ask) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(WIRE.encode_chat(ask).body)
    return body


def turns(*messages: content_pb2.Message) -> Any:
    return spelled(asked(messages=messages))["messages"]


def block(part: content_pb2.Part) -> Any:
    return turns(says(USER, part))[0]["content"][0]


def state(data: bytes, provider: str = "anthropic") -> content_pb2.ProviderState:
    return content_pb2.ProviderState(provider=provider, model=OLD, data=data)
