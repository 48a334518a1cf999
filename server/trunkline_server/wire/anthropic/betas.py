"""Features that the provider only serves to those who name them in a header."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from trunkline.v1 import chat_pb2, content_pb2

FILES: Final = "files-api-2025-04-14"

BY_TOOL: Final[Mapping[str, str]] = {
    "advisor_20260301": "advisor-tool-2026-03-01",
    "code_execution_20250522": "code-execution-2025-05-22",
    "code_execution_20250825": "code-execution-2025-08-25",
    "computer_20250124": "computer-use-2025-01-24",
    "computer_20251124": "computer-use-2025-11-24",
    "mcp_toolset": "mcp-client-2025-11-20",
    "memory_20250818": "context-management-2025-06-27",
    "web_fetch_20250910": "web-fetch-2025-09-10",
}
BY_EDIT: Final[Mapping[str, str]] = {"compact_20260112": "compact-2026-01-12"}
EDITS: Final = "context-management-2025-06-27"


def betas_of(question: chat_pb2.ChatInput, body: Mapping[str, object]) -> list[str]:
    """The names of the features that the request needs, in order."""
    needed = {BY_TOOL.get(tool.hosted.type, "") for tool in question.tools}
    needed.update(_edits(body.get("context_management")))
    if any(_is_file(part) for part in _parts(question)):
        needed.add(FILES)
    return sorted(needed - {""})


def _edits(management: object) -> Iterator[str]:
    edits = management.get("edits") if isinstance(management, dict) else None
    for edit in edits if isinstance(edits, list) else ():
        yield BY_EDIT.get(str(edit.get("type")), EDITS) if isinstance(edit, dict) else EDITS


def _parts(question: chat_pb2.ChatInput) -> Iterable[content_pb2.Part]:
    for message in question.messages:
        for part in message.parts:
            yield part
            yield from part.tool_result.parts


def _is_file(part: content_pb2.Part) -> bool:
    return bool(part.image.blob.file_id or part.document.blob.file_id)
