"""Pictures and documents by their bytes: what is taken, with which size, and what is refused."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable

import pytest

from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.media import check_file, check_image, sniff


def png(width: int, height: int, *, whole: bool = True) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0\0")) + (chunk(b"IEND", b"") if whole else b"")
    )


def jpeg(width: int, height: int, *, frame: int = 0xC0, before: bytes = b"", whole: bool = True) -> bytes:
    size = struct.pack(">BHHB", 8, height, width, 1) + b"\1\x11\0"
    app = b"\xff\xe0" + struct.pack(">H", 7) + b"JFIF\0"
    frames = b"\xff" + bytes([frame]) + struct.pack(">H", len(size) + 2) + size
    return b"\xff\xd8" + app + before + frames + b"\xff\xda\0\x08\1\1\0\0\x3f\0\0" + (b"\xff\xd9" if whole else b"")


def gif(width: int, height: int, version: bytes = b"89a") -> bytes:
    return b"GIF" + version + struct.pack("<HH", width, height) + b"\0\0\0;"


def webp(kind: bytes, body: bytes) -> bytes:
    chunk = kind + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(chunk) + 4) + b"WEBP" + chunk


def vp8(width: int, height: int) -> bytes:
    return webp(b"VP8 ", b"\x10\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height) + b"\0" * 8)


def vp8l(width: int, height: int) -> bytes:
    return webp(b"VP8L", b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14) + b"\0" * 8)


def vp8x(width: int, height: int) -> bytes:
    return webp(b"VP8X", b"\0" * 4 + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little"))


MAKERS = {
    "png": (png, "image/png", 50_000),
    "jpeg": (jpeg, "image/jpeg", 50_000),
    "jpeg progressive": (lambda w, h: jpeg(w, h, frame=0xC2), "image/jpeg", 50_000),
    "jpeg with a thumbnail": (
        lambda w, h: jpeg(w, h, before=b"\xff\xe1" + struct.pack(">H", len(jpeg(9, 9)) + 2) + jpeg(9, 9)),
        "image/jpeg",
        50_000,
    ),
    "jpeg with fill bytes": (lambda w, h: jpeg(w, h, before=b"\xff" * 1000), "image/jpeg", 50_000),
    "jpeg with tables first": (lambda w, h: jpeg(w, h, before=b"\xff\xc4\0\x04\0\0"), "image/jpeg", 50_000),
    "gif": (gif, "image/gif", 50_000),
    "gif 87": (lambda w, h: gif(w, h, b"87a"), "image/gif", 50_000),
    "webp lossy": (vp8, "image/webp", 16_000),
    "webp lossless": (vp8l, "image/webp", 16_000),
    "webp extended": (vp8x, "image/webp", 50_000),
}
REFUSED = {
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "svg with a declaration": b'<?xml version="1.0"?><svg/>',
    "html": b"<html></html>",
    "bmp": b"BM" + b"\0" * 60,
    "pdf": b"%PDF-1.7\n",
    "nothing that is known": b"\0" * 100,
    "one byte": b"\x89",
    "png without a head": b"\x89PNG\r\n\x1a\n",
    "png with another head": png(9, 9).replace(b"IHDR", b"iCCP"),
    "png cut off": png(9, 9, whole=False),
    "png of no width": png(0, 9),
    "png with a page inside": png(9, 9) + b"<html><script>alert(1)</script></html>",
    "png with a pdf behind": png(9, 9) + b"%PDF-1.7",
    "jpeg cut off": jpeg(9, 9, whole=False),
    "jpeg cut off in its head": jpeg(9, 9)[:12],
    "jpeg of no height": jpeg(9, 0),
    "jpeg of noise": b"\xff\xd8\xff" + b"\0" * 100,
    "jpeg of fill bytes": b"\xff\xd8" + b"\xff" * 5_000_000,
    "jpeg of endless segments": b"\xff\xd8" + b"\xff\xe0\0\x02" * 5_000_000,
    "jpeg of restarts": b"\xff\xd8" + b"\xff\xd0" * 5_000_000,
    "jpeg with a segment of no length": jpeg(9, 9, before=b"\xff\xe1\0\0"),
    "gif cut off": b"GIF89a\x01",
    "webp cut off": vp8x(9, 9)[:-1],
    "webp of another kind": webp(b"ANIM", b"\0" * 10),
    "webp without a key frame": vp8(9, 9).replace(b"\x9d\x01\x2a", b"\0\0\0"),
    "webp lossless of another version": vp8l(9, 9).replace(b"\x2f", b"\x30", 1),
    "webp that claims more": b"RIFF\xff\xff\xff\x7fWEBPVP8X" + b"\0" * 20,
}


@pytest.mark.parametrize(("make", "media_type", "side"), MAKERS.values(), ids=MAKERS)
def test_takes_pictures_up_to_64_megapixels(make: Callable[[int, int], bytes], media_type: str, side: int) -> None:
    assert check_image(make(8000, 8000), "", "p") == media_type
    assert check_image(make(side, 1), media_type, "p") == media_type
    with pytest.raises(TrunklineError, match=f"has {side} x 8001 pixels") as caught:
        check_image(make(side, 8001), "", "p")
    assert caught.value.reason is Reason.MEDIA_INVALID


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_refuses(data: bytes) -> None:
    began = time.monotonic()
    with pytest.raises(TrunklineError) as caught:
        check_image(data, "", "input.x")
    assert caught.value.reason is Reason.MEDIA_INVALID
    assert [violation.field for violation in caught.value.violations] == ["input.x"]
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("declared", ["image/png", "IMAGE/PNG; x=y", " image/png", "image/x-png", ""])
def test_the_declared_type_is_its_own(declared: str) -> None:
    assert check_image(png(9, 9), declared, "p") == "image/png"


@pytest.mark.parametrize("declared", ["image/jpeg", "image/svg+xml", "text/html", "application/pdf"])
def test_another_declared_type_is_refused(declared: str) -> None:
    with pytest.raises(TrunklineError, match="media type that it declares"):
        check_image(png(9, 9), declared, "p")


@pytest.mark.parametrize("size", range(0, len(jpeg(9, 9)), 3))
def test_every_cut_of_a_jpeg_is_refused(size: int) -> None:
    with pytest.raises(TrunklineError):
        check_image(jpeg(9, 9)[:size], "image/jpeg", "p")


@pytest.mark.parametrize(
    ("data", "declared", "media_type"),
    [
        (b"%PDF-1.4", "", "application/pdf"),
        (b"\xef\xbb\xbf\n%PDF-1.4", "application/pdf", "application/pdf"),
        (b"a,b\n1,2", "text/csv; charset=utf-8", "text/csv"),
        (b"ID3 sound", "audio/mpeg", "audio/mpeg"),
        (b"plain", "", ""),
    ],
)
def test_files_are_what_they_say_or_begin_like(data: bytes, declared: str, media_type: str) -> None:
    assert check_file(data, declared, "p") == media_type


@pytest.mark.parametrize(
    ("data", "declared"),
    [
        (b"not a pdf", "application/pdf"),
        (b"%PDF-1.4", "text/plain"),
        (png(9, 9), "audio/wav"),
        (png(9, 9), "image/png"),
        (png(9, 9), ""),
        (b"<svg/>", "image/svg+xml"),
        (b"x", "image/x-unknown"),
    ],
)
def test_files_that_are_something_else_are_refused(data: bytes, declared: str) -> None:
    with pytest.raises(TrunklineError) as caught:
        check_file(data, declared, "p")
    assert caught.value.reason is Reason.MEDIA_INVALID


def test_sniffs_nothing_from_nothing() -> None:
    assert sniff(b"") == ""
