from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.wire.frames import LINE_BYTES_MAX, EventStream, LineStream

BODY = b"".join(
    [
        b": hello\n\n",
        b"event: start\ndata: {}\n\n",
        b"data:no space\r\n\r\n",
        "data: two\ndata: lines ä€😀\r\nid: 7\n\n\n".encode(),
        b"data:\n\n",
        b"data: last\n\n",
    ]
)
EVENTS = [
    (b"start", b"{}"),
    (b"", b"no space"),
    (b"", "two\nlines ä€😀".encode()),
    (b"", b""),
    (b"", b"last"),
]


def events(*pieces: bytes) -> list[tuple[bytes, bytes]]:
    stream = EventStream()
    return [*(event for piece in pieces for event in stream.feed(piece)), *stream.close()]


@given(st.lists(st.integers(0, len(BODY))))
def test_a_body_may_be_cut_anywhere(positions: list[int]) -> None:
    edges = [0, *sorted(positions), len(BODY)]
    assert events(*(BODY[start:end] for start, end in pairwise(edges))) == EVENTS


def test_an_event_is_told_as_soon_as_it_is_whole() -> None:
    stream = EventStream()
    assert stream.feed(b"data: a\n") == []
    assert stream.feed(b"\ndata: b") == [(b"", b"a")]


def test_the_last_blank_line_may_be_missing() -> None:
    assert events(b"data: a\n\ndata: b") == [(b"", b"a"), (b"", b"b")]


def test_a_name_without_data_is_no_event() -> None:
    assert events(b"event: ping\n\ndata: a\n\n") == [(b"", b"a")]


def test_a_line_without_end_is_broken() -> None:
    stream = EventStream()
    stream.feed(b"x" * LINE_BYTES_MAX)
    with pytest.raises(UpstreamFailure) as failed:
        stream.feed(b"x")
    assert failed.value.kind is FailureKind.BROKEN


LINES = 'one\r\n\r\n{"two": "ä€😀"}\n\n three\nfour'.encode()


def lines(*pieces: bytes) -> list[bytes]:
    stream = LineStream()
    return [*(line for piece in pieces for line in stream.feed(piece)), *stream.close()]


@given(st.lists(st.integers(0, len(LINES))))
def test_lines_may_be_cut_anywhere(positions: list[int]) -> None:
    edges = [0, *sorted(positions), len(LINES)]
    told = [line.strip() for line in lines(*(LINES[start:end] for start, end in pairwise(edges)))]
    assert told == [b"one", '{"two": "ä€😀"}'.encode(), b"three", b"four"]


def test_a_line_is_told_as_soon_as_it_has_ended() -> None:
    stream = LineStream()
    assert stream.feed(b"a") == []
    assert stream.feed(b"b\nc") == [b"ab"]
