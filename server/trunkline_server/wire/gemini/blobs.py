"""Pictures, sounds, films and documents, both ways: `inlineData` holds bytes, `fileData` says where they lie."""

from __future__ import annotations

import base64
from typing import Final
from urllib.parse import urlsplit

from trunkline.v1 import content_pb2
from trunkline_server.core.errors import Reason, invalid
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.wire.gemini.shapes import FileData, InlineData

_URL_SAFE: Final = str.maketrans("-_", "+/")


def encode_blob(blob: content_pb2.Blob, path: str, files_url: str) -> dict[str, object]:
    """Bytes need a media type; a file is named by its whole address, which `files_url` completes. One that the provider
    keeps is named by its id, for who may name it was judged by that.
    """
    if blob.WhichOneof("source") == "data":
        if not blob.media_type:
            raise invalid(f"input.{path}.media_type", "this provider must be told the media type", Reason.MEDIA_INVALID)
        return {"inlineData": {"mimeType": blob.media_type, "data": base64.b64encode(blob.data).decode()}}
    if blob.uri and _host(blob.uri) == _host(files_url):
        raise invalid(f"input.{path}.uri", "leads to what the provider keeps: name it by file_id")
    place: dict[str, object] = {"fileUri": blob.uri or file_address(blob.file_id, files_url)}
    return {"fileData": {**place, "mimeType": blob.media_type} if blob.media_type else place}


def file_address(file_id: str, files_url: str) -> str:
    """`abc`, `files/abc` and the address itself name the same file."""
    return file_id if "://" in file_id else files_url + file_id.removeprefix("files/")


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").rstrip(".")


def read_inline(inline: InlineData) -> content_pb2.Part:
    """Bytes as the kind of part that their media type tells."""
    text = inline.data.translate(_URL_SAFE)
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        raise UpstreamFailure(FailureKind.BROKEN) from None
    return media_part(content_pb2.Blob(data=data, media_type=inline.mime_type or "application/octet-stream"))


def read_file(file: FileData) -> content_pb2.Part:
    """A file that the provider has, as the kind of part that its media type tells."""
    return media_part(content_pb2.Blob(file_id=file.file_uri, media_type=file.mime_type or ""))


def media_part(blob: content_pb2.Blob) -> content_pb2.Part:
    """What is neither picture, sound nor film is a document."""
    match blob.media_type.partition("/")[0]:
        case "image":
            return content_pb2.Part(image=content_pb2.ImagePart(blob=blob))
        case "audio":
            return content_pb2.Part(audio=content_pb2.AudioPart(blob=blob))
        case "video":
            return content_pb2.Part(video=content_pb2.VideoPart(blob=blob))
        case _:
            return content_pb2.Part(document=content_pb2.DocumentPart(blob=blob))
