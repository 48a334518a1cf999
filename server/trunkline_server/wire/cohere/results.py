"""Spells what a tool answered: texts and documents; pictures follow in a message of their own."""

from __future__ import annotations

from trunkline.v1 import content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.wire.cohere.parts import Content, content_of, encode_document, encode_part, text_block


def encode_result(result: content_pb2.ToolResultPart, ask: Ask, path: str) -> tuple[dict[str, object], list[Content]]:
    """The tool's message, and what must be shown after it."""
    told, shown = _sort(result, ask, path)
    texts = [part.text.text for part in result.parts if part.HasField("text")]
    if result.structured_json and result.structured_json not in texts:
        told.append(text_block(result.structured_json))
    if result.is_error:
        told.insert(0, text_block("Error:" if told else "Error"))
    if shown:
        shown.insert(0, text_block(f"From tool call {result.call_id}:"))
    return {"role": "tool", "tool_call_id": result.call_id, "content": content_of(told) or ""}, shown


def _sort(result: content_pb2.ToolResultPart, ask: Ask, path: str) -> tuple[list[Content], list[Content]]:
    told: list[Content] = []
    shown: list[Content] = []
    for index, part in enumerate(result.parts):
        place = f"{path}.tool_result.parts[{index}]"
        if part.HasField("document"):
            told.append({"type": "document", "document": encode_document(part.document, place)})
        else:
            (shown if part.HasField("image") else told).extend(encode_part(part, ask, place))
    return told, shown
