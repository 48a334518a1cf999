"""How many tokens a question has, guessed from its bytes: high enough to reserve money by, and no vocabulary needed.

A space explains the bytes of one word around it, and words make a token of about three bytes. What no space explains
(base64, digits, packed JSON, Chinese) makes far more tokens, and is counted so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from trunkline.v1 import chat_pb2, content_pb2

CALL_TOKENS: Final = 8
MESSAGE_TOKENS: Final = 6
IMAGE_TOKENS: Final = 1600
TOOLS_TOKENS: Final = 500
"""What providers say to the model about tools in general, before the first one."""
TOOL_TOKENS: Final = 16
FORMAT_TOKENS: Final = 100
HOSTED_TOOL_TOKENS: Final = 2500
AUDIO_BYTES_PER_TOKEN: Final = 200
VIDEO_BYTES_PER_TOKEN: Final = 300
DOCUMENT_BYTES_PER_TOKEN: Final = 10
DOCUMENT_TOKENS_MIN: Final = 3000
STATE_BYTES_PER_TOKEN: Final = 6
UNSEEN_TOKENS: Final = 10_000
"""A sound, film or document that is elsewhere."""

_WORD_BYTES: Final = 8
_TEXT_TYPES: Final = ("text/", "application/json", "application/xml")


def input_tokens(input: chat_pb2.ChatInput) -> int:
    """Tokens of everything that the model reads."""
    tokens = CALL_TOKENS
    for message in input.messages:
        tokens += MESSAGE_TOKENS
        for part in message.parts:
            tokens += _part_tokens(part)
    if input.tools:
        tokens += TOOLS_TOKENS + sum(_tool_tokens(tool) for tool in input.tools)
    if input.HasField("output_format"):
        tokens += FORMAT_TOKENS + 2 * text_tokens(input.output_format.json_schema.json_schema)
    return tokens


def text_tokens(text: str) -> int:
    """Tokens of a text: in twelfths, 4 a character of prose, 9 of anything dense, and 6 more a byte beyond ASCII."""
    chars = len(text)
    wide = 0 if text.isascii() else len(text.encode("utf-8", "replace")) - chars
    prose = min(chars, _WORD_BYTES * (text.count(" ") + 1))
    return (4 * prose + 9 * (chars - prose) + 6 * wide + 11) // 12


def _parts_tokens(parts: Iterable[content_pb2.Part]) -> int:
    return sum(_part_tokens(part) for part in parts)


def _part_tokens(part: content_pb2.Part) -> int:
    kind = part.WhichOneof("kind")
    tokens = text_tokens(part.text.text) if kind == "text" else _KINDS[kind](part) if kind else 0
    if part.HasField("provider_state"):
        tokens += len(part.provider_state.data) // STATE_BYTES_PER_TOKEN
    return tokens


def _audio(part: content_pb2.Part) -> int:
    return _media_tokens(part.audio.blob, AUDIO_BYTES_PER_TOKEN) + text_tokens(part.audio.transcript)


def _document(part: content_pb2.Part) -> int:
    document = part.document
    about = MESSAGE_TOKENS + text_tokens(document.title) + text_tokens(document.context)
    if document.WhichOneof("body") == "text":
        return about + text_tokens(document.text)
    if document.blob.media_type.startswith(_TEXT_TYPES) and document.blob.data:
        return about + text_tokens(document.blob.data.decode("utf-8", "replace"))
    return about + max(DOCUMENT_TOKENS_MIN, _media_tokens(document.blob, DOCUMENT_BYTES_PER_TOKEN))


def _media_tokens(blob: content_pb2.Blob, bytes_per_token: int) -> int:
    return len(blob.data) // bytes_per_token if blob.WhichOneof("source") == "data" else UNSEEN_TOKENS


def _tool_call(part: content_pb2.Part) -> int:
    return TOOL_TOKENS + text_tokens(part.tool_call.name) + text_tokens(part.tool_call.arguments_json)


def _tool_result(part: content_pb2.Part) -> int:
    return TOOL_TOKENS + _parts_tokens(part.tool_result.parts) + text_tokens(part.tool_result.structured_json)


def _reasoning(part: content_pb2.Part) -> int:
    return text_tokens(part.reasoning.text) + sum(text_tokens(summary) for summary in part.reasoning.summaries)


def _tool_tokens(tool: content_pb2.Tool) -> int:
    if tool.HasField("hosted"):
        return HOSTED_TOOL_TOKENS + text_tokens(tool.hosted.config_json)
    function = tool.function
    words = text_tokens(function.name) + text_tokens(function.description)
    return TOOL_TOKENS + words + text_tokens(function.parameters_json_schema)


_KINDS: Final[Mapping[str, Callable[[content_pb2.Part], int]]] = {
    "image": lambda _: IMAGE_TOKENS,
    "audio": _audio,
    "video": lambda part: _media_tokens(part.video.blob, VIDEO_BYTES_PER_TOKEN),
    "document": _document,
    "tool_call": _tool_call,
    "tool_result": _tool_result,
    "reasoning": _reasoning,
    "refusal": lambda part: text_tokens(part.refusal.text),
    "opaque": lambda part: text_tokens(part.opaque.json),
}
