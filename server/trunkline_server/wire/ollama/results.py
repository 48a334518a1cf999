"""Spells what a tool answered: text, and pictures beside it."""

from __future__ import annotations

from collections.abc import Mapping

from trunkline.v1 import content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.wire.ollama.parts import Content, add_part


def encode_result(
    result: content_pb2.ToolResultPart, ask: Ask, names: Mapping[str, str], path: str
) -> dict[str, object]:
    """The tool's message; `names` are those of the tools, by the ids of their calls."""
    content = Content(["Error:"] if result.is_error else [])
    for index, part in enumerate(result.parts):
        add_part(content, part, ask, f"{path}.tool_result.parts[{index}]")
    if result.structured_json and result.structured_json not in content.texts:
        content.texts.append(result.structured_json)
    name = result.name or names.get(result.call_id, "")
    return {"role": "tool", "tool_call_id": result.call_id, "tool_name": name, **content.spell()}
