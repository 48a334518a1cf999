"""Spells the pieces of a message: the dialect has one text and a list of pictures for all of them."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Final

from trunkline.v1 import content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.wire import dialect

BETWEEN: Final = "\n\n"


@dataclass(slots=True)
class Content:
    """What a message shows so far."""

    texts: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)

    def spell(self, between: str = BETWEEN) -> dict[str, object]:
        """The message's fields."""
        return {"content": between.join(self.texts), **({"images": self.images} if self.images else {})}


def add_part(content: Content, part: content_pb2.Part, ask: Ask, path: str) -> None:
    """Put the part where it belongs; state of another provider is left out."""
    if part.HasField("cache_hint"):
        ask.drop(f"{path}.cache_hint", "the provider decides itself what it caches")
    match part.WhichOneof("kind"):
        case "text":
            content.texts.append(part.text.text)
        case "image":
            content.images.append(_image(part.image, f"{path}.image"))
        case "document":
            content.texts += _document(part.document, f"{path}.document")
        case "opaque":
            _refuse_own(part.opaque, ask, path)
        case kind:
            raise dialect.unsupported(path, f"the provider takes no {kind} here")


def _image(image: content_pb2.ImagePart, path: str) -> str:
    if image.blob.WhichOneof("source") != "data":
        raise dialect.unsupported(path, "the provider takes pictures only as bytes")
    return base64.b64encode(image.blob.data).decode()


def _document(document: content_pb2.DocumentPart, path: str) -> list[str]:
    """Title and context have no fields in the dialect: they are text before the document."""
    if document.WhichOneof("body") != "text":
        raise dialect.unsupported(path, "the provider takes documents only as text")
    return [text for text in (document.title, document.context, document.text) if text]


def _refuse_own(block: content_pb2.OpaquePart, ask: Ask, path: str) -> None:
    if ask.owns(block.provider, path):
        raise dialect.unsupported(path, "the provider has no blocks of its own")
