"""Whether a question is whole: what its field rules cannot say, because it lies between fields or inside a text.

Runs on every call, so paths are spelled only where something is unusual.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core import media, schema
from trunkline_server.core.address import EgressPolicy, parse
from trunkline_server.core.errors import Reason, invalid
from trunkline_server.core.json_text import check_object
from trunkline_server.core.json_text import check as check_json
from trunkline_server.core.money import CREDIT
from trunkline_server.core.options import check_options

PUBLIC: Final = EgressPolicy()
PARTS_MAX: Final = 20_000

_INSTRUCTIONS: Final = (content_pb2.ROLE_SYSTEM, content_pb2.ROLE_DEVELOPER)
_SHOWN: Final = frozenset(("text", "image", "audio", "video", "document"))
_MAY_SAY: Final = {
    content_pb2.ROLE_SYSTEM: frozenset(("text",)),
    content_pb2.ROLE_DEVELOPER: frozenset(("text",)),
    content_pb2.ROLE_USER: _SHOWN | {"tool_result", "opaque"},
    content_pb2.ROLE_ASSISTANT: _SHOWN | {"tool_call", "reasoning", "refusal", "opaque"},
    content_pb2.ROLE_TOOL: frozenset(("tool_result",)),
}
_MAY_ANSWER: Final = frozenset(("text", "image", "audio", "video", "document", "opaque"))
_NAMED: Final = ("messages", "tools")


def check(input: chat_pb2.ChatInput, policy: EgressPolicy = PUBLIC) -> None:
    """Raises VALIDATION, URL_NOT_ALLOWED or MEDIA_INVALID, with the path of the field."""
    _Conversation(policy).check(input.messages)
    if input.tools or input.HasField("tool_choice"):
        _check_tools(input)
    if input.HasField("output_format"):
        _check_format(input.output_format)
    if input.labels:
        _check_labels(input.labels)
    if input.provider_options_json:
        check_options(input.provider_options_json, "input.provider_options_json")
    if input.HasField("max_cost"):
        _check_max_cost(input)
