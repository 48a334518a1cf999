"""Words that OpenAI's two chat APIs share with the contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trunkline.v1 import chat_pb2, content_pb2

ROLES: Final[Mapping[str, int]] = {
    "system": content_pb2.ROLE_SYSTEM,
    "developer": content_pb2.ROLE_DEVELOPER,
    "user": content_pb2.ROLE_USER,
    "assistant": content_pb2.ROLE_ASSISTANT,
    "tool": content_pb2.ROLE_TOOL,
}
MODES: Final[Mapping[str, int]] = {
    "auto": content_pb2.TOOL_CHOICE_MODE_AUTO,
    "none": content_pb2.TOOL_CHOICE_MODE_NONE,
    "required": content_pb2.TOOL_CHOICE_MODE_REQUIRED,
}
EFFORTS: Final[Mapping[str, int]] = {
    "none": chat_pb2.REASONING_EFFORT_NONE,
    "minimal": chat_pb2.REASONING_EFFORT_MINIMAL,
    "low": chat_pb2.REASONING_EFFORT_LOW,
    "medium": chat_pb2.REASONING_EFFORT_MEDIUM,
    "high": chat_pb2.REASONING_EFFORT_HIGH,
    "xhigh": chat_pb2.REASONING_EFFORT_HIGH,
}
DETAILS: Final[Mapping[str, int]] = {
    "auto": content_pb2.MEDIA_DETAIL_AUTO,
    "low": content_pb2.MEDIA_DETAIL_LOW,
    "high": content_pb2.MEDIA_DETAIL_HIGH,
}
FINISHES: Final[Mapping[int, str]] = {
    chat_pb2.FINISH_REASON_MAX_OUTPUT_TOKENS: "length",
    chat_pb2.FINISH_REASON_CONTEXT_WINDOW: "length",
    chat_pb2.FINISH_REASON_TOOL_CALLS: "tool_calls",
    chat_pb2.FINISH_REASON_CONTENT_FILTER: "content_filter",
    chat_pb2.FINISH_REASON_RECITATION: "content_filter",
}
"""All others are `stop`."""
