"""What a question needs of whoever answers it, beyond plain chat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from trunkline.v1 import chat_pb2, content_pb2, models_pb2
from trunkline_server.core.question import blob_of
from trunkline_server.gateway.routes import Route

Capability: TypeAlias = models_pb2.Capability.ValueType

_BY_KIND: Final = {
    "image": models_pb2.CAPABILITY_IMAGE_INPUT,
    "audio": models_pb2.CAPABILITY_AUDIO_INPUT,
    "document": models_pb2.CAPABILITY_DOCUMENT_INPUT,
}


@dataclass(frozen=True, slots=True)
class Needs:
    """`addresses`: files that the provider has to fetch itself."""

    capabilities: frozenset[Capability]
    addresses: bool

    def met_by(self, route: Route) -> bool:
        provider = route.upstream.provider
        return self.capabilities <= provider.capabilities and (provider.takes_urls or not self.addresses)


def needs_of(input: chat_pb2.ChatInput, *, streaming: bool) -> Needs:
    """By what is in it."""
    needed = {models_pb2.CAPABILITY_CHAT}
    if streaming:
        needed.add(models_pb2.CAPABILITY_STREAM)
    if input.tools:
        needed.add(models_pb2.CAPABILITY_TOOLS)
    if input.output_format.WhichOneof("kind") == "json_schema":
        needed.add(models_pb2.CAPABILITY_JSON_SCHEMA)
    files = [part for message in input.messages for part in _files(message.parts)]
    needed.update(_BY_KIND[kind] for part in files if (kind := part.WhichOneof("kind")) in _BY_KIND)
    return Needs(frozenset(needed), any(blob_of(part).WhichOneof("source") == "uri" for part in files))


def _files(parts: Iterable[content_pb2.Part]) -> Iterator[content_pb2.Part]:
    for part in parts:
        kind = part.WhichOneof("kind")
        if kind == "tool_result":
            yield from _files(part.tool_result.parts)
        elif kind in ("image", "audio", "video") or (kind == "document" and part.document.WhichOneof("body") == "blob"):
            yield part
