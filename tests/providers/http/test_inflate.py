"""Nothing is lost at the edge of a piece."""

from __future__ import annotations

import zlib

import pytest

from trunkline_server.providers.http.inflate import Corrupt, Inflate

PIECE = 256 * 1024


def unpacked(inflate: Inflate, data: bytes) -> list[int]:
    inflate.feed(data)
    sizes = []
    while piece := inflate.piece():
        sizes.append(len(piece))
    inflate.close()
    return sizes


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_large_pieces_are_split(encoding: str) -> None:
    for more in range(1, 300):
        packer = zlib.compressobj(wbits=31 if encoding == "gzip" else -15)
        data = packer.compress(bytes(PIECE + more)) + packer.flush()
        assert unpacked(Inflate(encoding), data) == [PIECE, more]


def test_what_is_not_packed_is_corrupt() -> None:
    for encoding in ("gzip", "deflate"):
        with pytest.raises(Corrupt):
            unpacked(Inflate(encoding), b"\x08 hello")


def test_nothing_at_all_is_nothing() -> None:
    assert unpacked(Inflate("gzip"), b"") == []
