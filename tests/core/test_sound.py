"""How long a recording is: exact where the bytes tell, else never below what it can be."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures.recording import WORD_MS, recording
from trunkline_server.core.sound import duration_ms, duration_ms_max
from trunkline_server.wire.audio.wav import wav_head

SOUND = recording("one two three")


def test_a_wav_tells_its_length() -> None:
    assert duration_ms(SOUND) == duration_ms_max(SOUND) == 3 * WORD_MS


def test_a_wav_that_is_cut_off_is_as_long_as_what_is_there() -> None:
    samples = 3 * WORD_MS * 16
    assert duration_ms(SOUND[: -samples // 3]) == 2 * WORD_MS


def test_a_streamed_wav_is_as_long_as_what_came() -> None:
    endless = wav_head(8000) + bytes(16_000)
    assert duration_ms(endless) == 1000


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF",
        b"RIFF\0\0\0\0WAVE",
        b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0",
        SOUND[:30],
        b"RIFF\0\0\0\0WAVEdata\x04\0\0\0abcd",
    ],
)
def test_what_does_not_tell_is_guessed_by_its_size(data: bytes) -> None:
    assert duration_ms(data) == len(data) // 16
    assert duration_ms_max(data) == len(data)


def test_a_rate_of_nothing_is_no_rate() -> None:
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 0, b"WAVE", b"fmt ", 16, 1, 1, 0, 0, 2, 16)
    assert duration_ms_max(head + b"data\x04\0\0\0abcd") == len(head) + 12


@given(st.binary(max_size=200), st.integers(0, 40))
def test_no_bytes_are_a_fault(data: bytes, at: int) -> None:
    for each in (data, SOUND[:at] + data):
        assert 0 <= duration_ms(each) <= duration_ms_max(each)
