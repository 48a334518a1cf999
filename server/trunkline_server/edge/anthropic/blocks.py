"""Content blocks of a request as parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from trunkline.v1 import content_pb2
from trunkline_server.core.errors import invalid
from trunkline_server.edge.anthropic.shapes import Block, CacheControl, Source
from trunkline_server.edge.anthropic.signature import unsign
from trunkline_server.edge.reading import raw_text, text, unbase64

_TTLS_S: Final[Mapping[str, int]] = {"5m": 300, "1h": 3600}


def hint(control: CacheControl | None) -> content_pb2.CacheHint | None:
    """Ask the provider to cache the prompt up to here."""
    return None if control is None else content_pb2.CacheHint(ttl_seconds=_TTLS_S.get(control.ttl or "", 0))


class Blocks:
    """Of one conversation; a result is told the name of the tool that it comes from."""

    def __init__(self) -> None:
        self._tool_names: dict[str, str] = {}
        self._fill: Mapping[str, Callable[[content_pb2.Part, Block, str], None]] = {
            "text": _fill_text,
            "image": _fill_image,
            "document": _fill_document,
            "search_result": _fill_found,
            "tool_use": self._fill_call,
            "tool_result": self._fill_result,
            "thinking": _fill_thoughts,
            "redacted_thinking": _fill_hidden_thoughts,
        }

    def parts(self, content: str | Sequence[Block] | None, path: str) -> list[content_pb2.Part]:
        if content is None or isinstance(content, str):
            return [text(content)] if content else []
        return [self._part(block, f"{path}[{index}]") for index, block in enumerate(content)]

    def _part(self, block: Block, path: str) -> content_pb2.Part:
        fill = self._fill.get(block.type)
        if fill is None:
            raise invalid(f"{path}.type", f"must be one of {', '.join(self._fill)}")
        part = content_pb2.Part(cache_hint=hint(block.cache_control))
        fill(part, block, path)
        return part

    def _fill_call(self, part: content_pb2.Part, block: Block, path: str) -> None:
        self._tool_names[block.id] = block.name
        part.tool_call.call_id, part.tool_call.name = block.id, block.name
        part.tool_call.arguments_json = raw_text(block.input) or "{}"

    def _fill_result(self, part: content_pb2.Part, block: Block, path: str) -> None:
        result = part.tool_result
        result.call_id = block.tool_use_id
        result.name = self._tool_names.get(block.tool_use_id, "")
        result.parts.extend(self.parts(block.content, f"{path}.content"))
        result.is_error = bool(block.is_error)


def _fill_text(part: content_pb2.Part, block: Block, path: str) -> None:
    part.text.text = block.text


def _fill_image(part: content_pb2.Part, block: Block, path: str) -> None:
    _fill_blob(part.image.blob, _source(block, path), f"{path}.source")


def _fill_document(part: content_pb2.Part, block: Block, path: str) -> None:
    source = _source(block, path)
    if source.type == "text":
        part.document.text = source.data
    elif source.type == "content":
        part.document.text = _words(source.content, f"{path}.source.content")
    else:
        _fill_blob(part.document.blob, source, f"{path}.source")
    part.document.title, part.document.context = block.title or "", block.context or ""


def _fill_found(part: content_pb2.Part, block: Block, path: str) -> None:
    if not isinstance(block.source, str):
        raise invalid(f"{path}.source", "must be the name of a source")
    part.document.text = _words(block.content, f"{path}.content")
    part.document.title, part.document.context = block.title or "", block.source


def _words(content: str | Sequence[Block] | None, path: str) -> str:
    """Of blocks that stand for one text."""
    if content is None or isinstance(content, str):
        return content or ""
    for index, block in enumerate(content):
        if block.type != "text":
            raise invalid(f"{path}[{index}].type", "must be text")
    return "\n".join(block.text for block in content)


def _fill_thoughts(part: content_pb2.Part, block: Block, path: str) -> None:
    part.reasoning.text = block.thinking
    if block.signature:
        part.provider_state.CopyFrom(unsign(block.signature, f"{path}.signature"))


def _fill_hidden_thoughts(part: content_pb2.Part, block: Block, path: str) -> None:
    part.reasoning.redacted = True
    part.provider_state.CopyFrom(unsign(block.data, f"{path}.data"))


def _source(block: Block, path: str) -> Source:
    if not isinstance(block.source, Source):
        raise invalid(f"{path}.source", "is missing, or is no object")
    return block.source


def _fill_blob(blob: content_pb2.Blob, source: Source, path: str) -> None:
    match source.type:
        case "base64":
            blob.data = unbase64(source.data, f"{path}.data")
            blob.media_type = source.media_type
        case "url":
            blob.uri = source.url
        case "file":
            blob.file_id = source.file_id
        case _:
            raise invalid(f"{path}.type", "must be base64, url, file, or for documents text or content")
