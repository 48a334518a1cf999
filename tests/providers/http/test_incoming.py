"""Whatever arrives, in whatever cuts: the same answer, or an UpstreamFailure."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures.upstream import chunk, head
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.providers.http.incoming import BARREN_BYTES_MAX, Incoming

BODY = bytes(range(256)) * 3
BYTES_MAX = 100_000


def chunked(data: bytes, size: int = 50, *, trailer: bytes = b"") -> bytes:
    pieces = [chunk(data[at : at + size]) for at in range(0, len(data), size)]
    return b"".join(pieces) + b"0\r\n" + trailer + b"\r\n"


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


TWO_MEMBERS = gzip.compress(BODY[:100]) + gzip.compress(BODY[100:])
CHUNKED = {"Transfer-Encoding": "chunked"}
GOOD = {
    "a length": head(200, {"content-length": str(len(BODY))}) + BODY,
    "chunks": head(200, CHUNKED) + chunked(BODY),
    "until its end": head(200, {}) + BODY,
    "an old server": b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
    "after interim answers": head(100, {}) + head(103, {"link": "</a>"}) + head(200, CHUNKED) + chunked(BODY),
    "trailers": head(200, CHUNKED) + chunked(BODY, trailer=b"x-checksum: 7\r\ncontent-encoding: gzip\r\n"),
    "gzip": head(200, {**CHUNKED, "Content-Encoding": "GZIP"}) + chunked(gzip.compress(BODY)),
    "gzip until its end": head(200, {"content-encoding": "gzip"}) + gzip.compress(BODY),
    "gzip of two members": head(200, {**CHUNKED, "content-encoding": "gzip"}) + chunked(TWO_MEMBERS),
    "deflate": head(200, {**CHUNKED, "content-encoding": "deflate"}) + chunked(zlib.compress(BODY)),
    "raw deflate": head(200, {**CHUNKED, "content-encoding": "deflate"}) + chunked(raw_deflate(BODY)),
    "an encoding we did not ask for": head(200, {**CHUNKED, "content-encoding": "br"}) + chunked(BODY),
}
PACKED = gzip.compress(BODY)
BAD = {
    "cut gzip": (head(200, {"content-encoding": "gzip"}) + PACKED[:-9], FailureKind.BROKEN),
    "gzip and more": (head(200, {"content-encoding": "gzip"}) + PACKED + b"more", FailureKind.BROKEN),
    "no size": (head(200, CHUNKED) + b"abc\r\nxyz\r\n", FailureKind.INTERRUPTED),
    "a size that is none": (head(200, CHUNKED) + chunk(b"abc") + b"zz\r\n", FailureKind.BROKEN),
    "too short": (head(200, {"content-length": "9"}) + b"abc", FailureKind.INTERRUPTED),
    "no last chunk": (head(200, CHUNKED) + chunk(BODY), FailureKind.INTERRUPTED),
    "two lengths": (head(200, {"content-length": "3", "Content-Length": "4"}) + b"abc", FailureKind.BROKEN),
    "another protocol": (head(101, {"connection": "upgrade", "upgrade": "websocket"}) + b"abc", FailureKind.BROKEN),
    "only interim": (head(100, {}), FailureKind.AMBIGUOUS),
    "nothing": (b"", FailureKind.AMBIGUOUS),
    "no status": (b"HTTP/1.1 000 No\r\n\r\nabc", FailureKind.BROKEN),
    "an interim length": (head(102, {"content-length": "3"}) + b"abc" + head(200, {}), FailureKind.BROKEN),
    "an interim body": (head(102, CHUNKED) + chunk(b"abc") + head(200, {}), FailureKind.BROKEN),
    "endless interim": (head(100, {}) * 5000, FailureKind.BROKEN),
    "endless header": (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 2 * BARREN_BYTES_MAX, FailureKind.BROKEN),
    "endless trailers": (
        head(200, CHUNKED) + chunked(b"abc", trailer=b"".join(b"x-%d: y\r\n" % i for i in range(20_000))),
        FailureKind.BROKEN,
    ),
    "too long": (head(200, CHUNKED) + chunked(bytes(BYTES_MAX + 1), 5000), FailureKind.BROKEN),
    "a bomb": (head(200, {"content-encoding": "gzip"}) + gzip.compress(bytes(BYTES_MAX + 1)), FailureKind.BROKEN),
}
CUTS = st.lists(st.integers(1, 40), max_size=60)


@dataclass
class Read:
    """What a reader made of it."""

    incoming: Incoming
    body: bytes = b""
    failure: UpstreamFailure | None = None


def cut(data: bytes, sizes: list[int], most: int = 16_384) -> list[bytes]:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    return [piece for piece in pieces if piece] + [data[i : i + most] for i in range(at, len(data), most)]


async def read(pieces: list[bytes]) -> Read:
    """Feeds one piece a turn of the loop while somebody reads."""
    incoming = Incoming(asyncio.get_running_loop(), BYTES_MAX, lambda: None)
    result = Read(incoming)
    reader = asyncio.create_task(listen(result))
    for piece in pieces:
        incoming.feed(memoryview(piece))
        await asyncio.sleep(0)
    incoming.end(orderly=True)
    await asyncio.wait_for(reader, 5)
    return result


async def listen(result: Read) -> None:
    try:
        await result.incoming.begun()
        async for piece in result.incoming.chunks():
            assert piece
            result.body += piece
    except UpstreamFailure as failure:
        result.failure = failure


@pytest.mark.parametrize("data", GOOD.values(), ids=GOOD)
def test_good_answers_however_they_are_cut(data: bytes) -> None:
    @given(sizes=CUTS)
    def check(sizes: list[int]) -> None:
        found = asyncio.run(read(cut(data, sizes)))
        assert (found.failure, found.body, found.incoming.status) == (None, BODY, 200)

    check()


@pytest.mark.parametrize("data", GOOD.values(), ids=GOOD)
async def test_good_answers_byte_by_byte(data: bytes) -> None:
    found = await read([data[i : i + 1] for i in range(len(data))])
    assert (found.failure, found.body) == (None, BODY)
    assert not {"link", "x-checksum"} & set(found.incoming.headers)


@pytest.mark.parametrize(("data", "kind"), BAD.values(), ids=BAD)
async def test_bad_answers(data: bytes, kind: FailureKind) -> None:
    found = await read(cut(data, []))
    assert found.failure is not None
    assert found.failure.kind is kind


@given(data=st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(lambda some: b"HTTP/1.1 " + some)))
def test_garbage_is_a_failure_or_an_answer_and_nothing_else(data: bytes) -> None:
    found = asyncio.run(read(cut(data, [7, 5])))
    assert found.failure is not None or found.incoming.status >= 200


@given(
    data=st.sampled_from(list(GOOD.values())),
    places=st.lists(st.tuples(st.integers(0, 900), st.integers(0, 255)), min_size=1, max_size=5),
    sizes=CUTS,
)
def test_damaged_answers_are_a_failure_or_an_answer_and_nothing_else(
    data: bytes, places: list[tuple[int, int]], sizes: list[int]
) -> None:
    damaged = bytearray(data)
    for at, value in places:
        damaged[at % len(damaged)] = value
    found = asyncio.run(read(cut(bytes(damaged), sizes)))
    assert found.failure is not None or found.incoming.status >= 200


KEPT = {
    "a length": (GOOD["a length"], True),
    "chunks": (GOOD["chunks"], True),
    "until its end": (GOOD["until its end"], False),
    "an old server": (b"HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nabc", False),
    "an old server that stays": (b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 3\r\n\r\nabc", True),
    "a farewell": (head(200, {"content-length": "3", "connection": "close"}) + b"abc", False),
    "no content": (head(204, {}), True),
    "an answer to nothing": (GOOD["chunks"] * 2, False),
    "half an answer to nothing": (GOOD["a length"] + b"HTTP", False),
    "rubbish behind": (GOOD["a length"] + b"rubbish", False),
}


@pytest.mark.parametrize(("data", "reusable"), KEPT.values(), ids=KEPT)
async def test_whether_the_connection_may_be_used_again(data: bytes, reusable: bool) -> None:
    incoming = Incoming(asyncio.get_running_loop(), BYTES_MAX, lambda: None)
    incoming.feed(memoryview(data))
    assert incoming.reusable is reusable
    incoming.end(orderly=True)
    assert await incoming.read(BYTES_MAX) in (BODY, b"abc", b"")


async def test_headers_are_found_in_any_case_and_count_once() -> None:
    found = await read(
        [head(200, {"Content-Type": "text/caf\xe9", "Set-Cookie": "a", "X-A": "", "content-length": "0"})]
    )
    headers = found.incoming.headers
    assert (headers["content-type"], headers.get("X-a"), headers.get("x-b\u20ac")) == ("text/caf\xe9", "", None)
    assert sorted(headers) == ["content-length", "content-type", "set-cookie", "x-a"]
    assert len(headers) == 4


async def test_a_reader_who_stays_behind_is_told() -> None:
    incoming = Incoming(asyncio.get_running_loop(), BYTES_MAX, lambda: None)
    incoming.feed(memoryview(head(200, CHUNKED) + chunk(b"abc")))
    pieces = incoming.chunks()
    assert await anext(pieces) == b"abc"
    incoming.close()
    with pytest.raises(UpstreamFailure, match="INTERRUPTED 200"):
        await anext(pieces)
