"""Pictures and documents: by their bytes, by address, or by the provider's own file id."""

from __future__ import annotations

import base64
from typing import Final

from trunkline.v1 import content_pb2
from trunkline_server.core.ask import Ask

PDF: Final = "application/pdf"
_DETAILS: Final = (content_pb2.MEDIA_DETAIL_LOW, content_pb2.MEDIA_DETAIL_HIGH)


def encode_image(ask: Ask, image: content_pb2.ImagePart, path: str) -> dict[str, object]:
    """A picture."""
    if image.detail in _DETAILS:
        ask.drop(f"{path}.image.detail", "the provider always looks closely")
    return {"type": "image", "source": _source(image.blob, image.blob.media_type)}


def encode_document(document: content_pb2.DocumentPart) -> dict[str, object]:
    """A PDF or a text, with its title and what the model should know about it."""
    block: dict[str, object] = {"type": "document", "source": _document_source(document)}
    if document.title or document.blob.filename:
        block["title"] = document.title or document.blob.filename
    if document.context:
        block["context"] = document.context
    return block


def _document_source(document: content_pb2.DocumentPart) -> dict[str, object]:
    if document.WhichOneof("body") == "text":
        return _text(document.text)
    if document.blob.data and document.blob.media_type.startswith("text/"):
        return _text(document.blob.data.decode("utf-8", "replace"))
    return _source(document.blob, document.blob.media_type or PDF)


def _text(text: str) -> dict[str, object]:
    return {"type": "text", "media_type": "text/plain", "data": text}


def _source(blob: content_pb2.Blob, media_type: str) -> dict[str, object]:
    if blob.WhichOneof("source") == "uri":
        return {"type": "url", "url": blob.uri}
    if blob.WhichOneof("source") == "file_id":
        return {"type": "file", "file_id": blob.file_id}
    return {"type": "base64", "media_type": media_type, "data": base64.b64encode(blob.data).decode()}
