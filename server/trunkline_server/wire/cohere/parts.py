"""Spells the pieces of a message: text, pictures, documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

import orjson

from trunkline.v1 import content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.wire import dialect

Content: TypeAlias = dict[str, object] | orjson.Fragment

DETAILS: Final = {
    content_pb2.MEDIA_DETAIL_LOW: "low",
    content_pb2.MEDIA_DETAIL_HIGH: "high",
    content_pb2.MEDIA_DETAIL_AUTO: "auto",
}


def content_of(content: Sequence[Content]) -> object:
    """The shortest spelling: one plain text is a string."""
    match content:
        case [{"type": "text", "text": text}]:
            return text
        case _:
            return content


def encode_part(part: content_pb2.Part, ask: Ask, path: str) -> list[Content]:
    """The part's block; none where it is state of another provider."""
    drop_cache_hint(part, ask, path)
    match part.WhichOneof("kind"):
        case "text":
            return [text_block(part.text.text)]
        case "image":
            return [_image(part.image, path)]
        case "opaque":
            return [dialect.raw(part.opaque.json)] if ask.owns(part.opaque.provider, path) else []
        case kind:
            raise dialect.unsupported(path, f"the provider takes no {kind} here")


def drop_cache_hint(part: content_pb2.Part, ask: Ask, path: str) -> None:
    if part.HasField("cache_hint"):
        ask.drop(f"{path}.cache_hint", "the provider decides itself what it caches")


def text_block(text: str) -> Content:
    return {"type": "text", "text": text}


def encode_document(document: content_pb2.DocumentPart, path: str) -> dict[str, object]:
    """A document that the answer can cite: whatever fields it has, the model sees."""
    if document.WhichOneof("body") != "text":
        raise dialect.unsupported(f"{path}.document", "the provider takes documents only as text")
    about = {"title": document.title, "context": document.context}
    return {"data": {**{name: text for name, text in about.items() if text}, "text": document.text}}


def _image(image: content_pb2.ImagePart, path: str) -> Content:
    picture: dict[str, object] = {"url": _address(image.blob, f"{path}.image")}
    if image.detail in DETAILS:
        picture["detail"] = DETAILS[image.detail]
    return {"type": "image_url", "image_url": picture}


def _address(blob: content_pb2.Blob, path: str) -> str:
    match blob.WhichOneof("source"):
        case "uri":
            return blob.uri
        case "data":
            return dialect.data_uri(blob, "image/png")
        case _:
            raise dialect.unsupported(path, "the provider takes this as bytes or by address, not by file id")
