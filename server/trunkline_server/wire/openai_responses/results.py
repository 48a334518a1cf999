"""Spells what a tool answered: text, or content with pictures and documents."""

from __future__ import annotations

from trunkline.v1 import content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.wire.openai_responses.parts import Content, content_of, encode_part, text_block


def encode_result(result: content_pb2.ToolResultPart, ask: Ask, path: str) -> object:
    """The dialect has no field for failure, so that a failed tool says it in words."""
    said = [content for index, part in enumerate(result.parts) for content in _encode(part, ask, path, index)]
    if result.structured_json and all(part.text.text != result.structured_json for part in result.parts):
        said.append(text_block(result.structured_json))
    if result.is_error:
        said = _failed(said)
    return content_of(said) or ""


def _encode(part: content_pb2.Part, ask: Ask, path: str, index: int) -> list[Content]:
    return encode_part(part, ask, f"{path}.tool_result.parts[{index}]")


def _failed(said: list[Content]) -> list[Content]:
    match said:
        case [{"type": "input_text", "text": text}, *rest]:
            return [text_block(f"Error: {text}"), *rest]
        case _:
            return [text_block("Error"), *said]
