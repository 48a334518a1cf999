"""Pictures and documents, judged by their first bytes: what they are, how large they would be, whether whole."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from trunkline_server.core.errors import Reason, TrunklineError, invalid

PIXELS_MAX: Final = 64_000_000
PDF: Final = "application/pdf"

Size: TypeAlias = tuple[int, int]

_SEGMENTS_MAX: Final = 4096
_PDF_HEAD_BYTES: Final = 1024
_ALIASES: Final = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "application/x-pdf": PDF,
}
_OTHER_KINDS: Final = (b"<script", b"<html", b"%PDF-")
_MARKER: Final = re.compile(rb"\xff+([\xc0-\xfe])")
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_RESTARTS: Final = range(0xD0, 0xD8)


class _BrokenError(Exception):
    """The header is cut off or contradicts itself."""


def sniff(data: bytes) -> str:
    """The media type that the bytes begin like; empty for one that is not known here."""
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    for magic, media_type in _MAGIC:
        if data.startswith(magic):
            return media_type
    return PDF if b"%PDF-" in data[:_PDF_HEAD_BYTES] else ""


def normal(media_type: str) -> str:
    """A declared type in lower case, without parameters and older spellings."""
    plain = media_type.partition(";")[0].strip().lower()
    return _ALIASES.get(plain, plain)


def check_image(data: bytes, declared: str, path: str) -> str:
    """The media type of a picture that is what it says, whole and not too large. Raises MEDIA_INVALID at `path`."""
    media_type = sniff(data)
    if media_type not in _SIZES:
        raise _refused(path, "is no PNG, JPEG, GIF or WebP picture")
    check_declared(media_type, declared, path)
    width, height = _size(data, media_type, path)
    if not 0 < width * height <= PIXELS_MAX:
        raise _refused(path, f"has {width} x {height} pixels; at most {PIXELS_MAX} are taken")
    if any(kind in data for kind in _OTHER_KINDS):
        raise _refused(path, "is a picture and another kind of document at once")
    return media_type


def check_file(data: bytes, declared: str, path: str) -> str:
    """The media type of a document, sound or film, as declared or as its bytes tell. Raises MEDIA_INVALID at `path`."""
    found, claimed = sniff(data), normal(declared)
    if found in _SIZES or claimed.startswith("image/"):
        raise _refused(path, "is a picture, which belongs in an image part")
    check_declared(found, declared, path)
    return claimed or found


def check_declared(found: str, declared: str, path: str) -> None:
    """The bytes and their name must agree, as far as either is known here."""
    claimed = normal(declared)
    if claimed and claimed != found and (found or claimed == PDF or claimed.startswith("image/")):
        raise _refused(path, "is not of the media type that it declares")


def _size(data: bytes, media_type: str, path: str) -> Size:
    try:
        return _SIZES[media_type](data)
    except (_BrokenError, struct.error, IndexError):
        raise _refused(path, "is cut off or broken") from None


def _png(data: bytes) -> Size:
    length, kind, width, height = struct.unpack_from(">I4sII", data, 8)
    _require(length == 13 and kind == b"IHDR" and data.rfind(b"IEND") > 0)
    return width, height


def _gif(data: bytes) -> Size:
    width, height, *_ = struct.unpack_from("<HHBBBB", data, 6)
    return width, height


def _jpeg(data: bytes) -> Size:
    """Walks the segments to the frame's own; sequential and progressive frames look alike."""
    place = 2
    for _ in range(_SEGMENTS_MAX):
        marker = _MARKER.match(data, place)
        if marker is None:
            break
        kind, place = data[marker.end() - 1], marker.end()
        if kind in _RESTARTS:
            continue
        (length,) = struct.unpack_from(">H", data, place)
        if kind in _FRAMES:
            height, width = struct.unpack_from(">HH", data, place + 3)
            _require(data.rfind(b"\xff\xd9") > place)
            return width, height
        _require(length >= 2)
        place += length
    raise _BrokenError


def _webp(data: bytes) -> Size:
    (length,) = struct.unpack_from("<I", data, 4)
    _require(length + 8 <= len(data))
    return _WEBP_SIZES[data[12:16]](data) if data[12:16] in _WEBP_SIZES else _broken()


def _vp8(data: bytes) -> Size:
    _require(data[23:26] == b"\x9d\x01\x2a")
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _vp8l(data: bytes) -> Size:
    _require(data[20] == 0x2F)
    (bits,) = struct.unpack_from("<I", data, 21)
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1


def _vp8x(data: bytes) -> Size:
    _require(len(data) >= 30)
    return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1


def _require(condition: bool) -> None:  # noqa: FBT001
    if not condition:
        raise _BrokenError


def _broken() -> Size:
    raise _BrokenError


def _refused(path: str, description: str) -> TrunklineError:
    return invalid(path, description, Reason.MEDIA_INVALID)


_MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_SIZES: Final[Mapping[str, Callable[[bytes], Size]]] = {
    "image/png": _png,
    "image/jpeg": _jpeg,
    "image/gif": _gif,
    "image/webp": _webp,
}
_WEBP_SIZES: Final[Mapping[bytes, Callable[[bytes], Size]]] = {b"VP8 ": _vp8, b"VP8L": _vp8l, b"VP8X": _vp8x}
