"""Spells the pieces of a message that is not the model's: text, pictures, documents."""

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
    """The shortest spelling: one text is a string."""
    match content:
        case [{"type": "input_text", "text": text}]:
            return text
        case _:
            return content


def encode_part(part: content_pb2.Part, ask: Ask, path: str) -> list[Content]:
    """The part's blocks; none where it is state of another provider."""
    if part.HasField("cache_hint"):
        ask.drop(f"{path}.cache_hint", "the provider decides itself what it caches")
    match part.WhichOneof("kind"):
        case "text":
            return [text_block(part.text.text)]
        case "image":
            return [_image(part.image)]
        case "document":
            return _document(part.document)
        case "opaque":
            return [dialect.raw(part.opaque.json)] if ask.owns(part.opaque.provider, path) else []
        case kind:
            raise dialect.unsupported(path, f"the provider takes no {kind} here")


def text_block(text: str) -> Content:
    return {"type": "input_text", "text": text}


def _image(image: content_pb2.ImagePart) -> Content:
    block: dict[str, object] = {"type": "input_image"}
    if image.blob.WhichOneof("source") == "file_id":
        block["file_id"] = image.blob.file_id
    else:
        block["image_url"] = _address(image.blob, "image/png")
    if image.detail in DETAILS:
        block["detail"] = DETAILS[image.detail]
    return block


def _document(document: content_pb2.DocumentPart) -> list[Content]:
    """Title and context have no fields in the dialect: they are text before the document."""
    about = [text_block(text) for text in (document.title, document.context) if text]
    if document.WhichOneof("body") == "text":
        return [*about, text_block(document.text)]
    return [*about, {"type": "input_file", **_file(document.blob)}]


def _file(blob: content_pb2.Blob) -> dict[str, object]:
    match blob.WhichOneof("source"):
        case "file_id":
            return {"file_id": blob.file_id}
        case "uri":
            return {"file_url": blob.uri}
        case _:
            return {"filename": blob.filename or "document.pdf", "file_data": _address(blob, "application/pdf")}


def _address(blob: content_pb2.Blob, media_type: str) -> str:
    if blob.WhichOneof("source") == "uri":
        return blob.uri
    return dialect.data_uri(blob, media_type)
