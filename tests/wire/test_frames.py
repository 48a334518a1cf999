from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.wire.frames import LINE_BYTES_MAX, EventStream

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
