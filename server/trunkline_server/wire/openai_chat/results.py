"""Spells what a tool answered: the dialect takes text there, pictures follow in a message of their own."""

from __future__ import annotations

from trunkline.v1 import content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.wire.openai_chat.parts import Content, content_of, encode_part, text_block
from trunkline_server.wire.openai_chat.quirks import Quirks
from trunkline_server.wire.openai_chat.tools import encode_call_id


def encode_result(
    result: content_pb2.ToolResultPart, ask: Ask, quirks: Quirks, path: str
) -> tuple[dict[str, object], list[Content]]:
    """The tool's message, and what must be shown after it."""
    texts, shown = _sort(result, ask, quirks, path)
    if result.is_error:
        texts[:1] = [f"Error: {texts[0]}" if texts else "Error"]
    content = content_of([text_block(text) for text in texts]) or ""
    if shown:
        shown.insert(0, text_block(f"From tool call {result.call_id}:"))
    return {"role": "tool", "tool_call_id": encode_call_id(result.call_id, quirks), "content": content}, shown


def _sort(result: content_pb2.ToolResultPart, ask: Ask, quirks: Quirks, path: str) -> tuple[list[str], list[Content]]:
    texts = [part.text.text for part in result.parts if part.HasField("text")]
    if result.structured_json and result.structured_json not in texts:
        texts.append(result.structured_json)
    shown: list[Content] = []
    for index, part in enumerate(result.parts):
        if not part.HasField("text"):
            shown += encode_part(part, ask, quirks, f"{path}.tool_result.parts[{index}]")
    return texts, shown
