"""Spells the pieces of a message: text, pictures, sound, documents."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Final, TypeAlias

import orjson

from trunkline.v1 import content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.wire import dialect
from trunkline_server.wire.openai_chat.quirks import Quirks

Content: TypeAlias = dict[str, object] | orjson.Fragment

DETAILS: Final = {
    content_pb2.MEDIA_DETAIL_LOW: "low",
    content_pb2.MEDIA_DETAIL_HIGH: "high",
    content_pb2.MEDIA_DETAIL_AUTO: "auto",
}
AUDIO_FORMATS: Final = {"mpeg": "mp3", "mp3": "mp3", "wav": "wav", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav"}
LONG_CACHE_S: Final = 3600


def plain_text(message: content_pb2.Message) -> str | None:
    """What it says, where that is one text with nothing about it, as nearly all is in a long history; else None."""
    if len(message.parts) != 1:
        return None
    part = message.parts[0]
    if part.WhichOneof("kind") != "text" or part.HasField("cache_hint") or part.HasField("provider_state"):
        return None
    return part.text.text


def content_of(content: Sequence[Content]) -> object:
    """The shortest spelling: one plain text is a string."""
    match content:
        case [{"type": "text", "text": text, **rest}] if not rest:
            return text
        case _:
            return content


def encode_part(part: content_pb2.Part, ask: Ask, quirks: Quirks, path: str) -> list[Content]:
    """The part's blocks; none where it is state of another provider."""
    blocks = _blocks(part, ask, path)
    if part.HasField("cache_hint"):
        _mark(blocks, part.cache_hint, ask, quirks, path)
    return blocks


def _blocks(part: content_pb2.Part, ask: Ask, path: str) -> list[Content]:
    match part.WhichOneof("kind"):
        case "text":
            return [text_block(part.text.text)]
        case "image":
            return [_image(part.image, path)]
        case "audio":
            return [_audio(part.audio, path)]
        case "document":
            return _document(part.document, path)
        case "opaque":
            return [dialect.raw(part.opaque.json)] if ask.owns(part.opaque.provider, path) else []
        case kind:
            raise dialect.unsupported(path, f"the provider takes no {kind} here")


def _mark(blocks: list[Content], hint: content_pb2.CacheHint, ask: Ask, quirks: Quirks, path: str) -> None:
    last = blocks[-1] if blocks else None
    if not quirks.cache_marks or not isinstance(last, dict):
        ask.drop(f"{path}.cache_hint", "the provider decides itself what it caches")
    else:
        long = {"ttl": "1h"} if hint.ttl_seconds >= LONG_CACHE_S else {}
        last["cache_control"] = {"type": "ephemeral", **long}


def text_block(text: str) -> Content:
    return {"type": "text", "text": text}


def _image(image: content_pb2.ImagePart, path: str) -> Content:
    picture: dict[str, object] = {"url": address(image.blob, "image/png", f"{path}.image")}
    if image.detail in DETAILS:
        picture["detail"] = DETAILS[image.detail]
    return {"type": "image_url", "image_url": picture}


def _audio(audio: content_pb2.AudioPart, path: str) -> Content:
    if audio.blob.WhichOneof("source") != "data":
        raise dialect.unsupported(f"{path}.audio", "the provider takes sound only as bytes")
    kind = audio.blob.media_type.rpartition("/")[2].lower()
    return {
        "type": "input_audio",
        "input_audio": {"data": b64encode(audio.blob.data).decode(), "format": AUDIO_FORMATS.get(kind, kind or "wav")},
    }


def _document(document: content_pb2.DocumentPart, path: str) -> list[Content]:
    """Title and context have no fields in the dialect: they are text before the document."""
    about = [text_block(text) for text in (document.title, document.context) if text]
    if document.WhichOneof("body") == "text":
        return [*about, text_block(document.text)]
    return [*about, {"type": "file", "file": _file(document.blob, path)}]


def _file(blob: content_pb2.Blob, path: str) -> dict[str, object]:
    if blob.WhichOneof("source") == "file_id":
        return {"file_id": blob.file_id}
    if blob.WhichOneof("source") == "uri":
        raise dialect.unsupported(
            f"{path}.document", "the provider takes documents as bytes or file id, not by address"
        )
    return {"filename": blob.filename or "document.pdf", "file_data": address(blob, "application/pdf", path)}


def address(blob: content_pb2.Blob, media_type: str, path: str) -> str:
    """Where a file is, or all of it as an address."""
    match blob.WhichOneof("source"):
        case "uri":
            return blob.uri
        case "data":
            return dialect.data_uri(blob, media_type)
        case _:
            raise dialect.unsupported(path, "the provider takes this as bytes or by address, not by file id")
