"""Words as tones: a WAV file in which each word is a tone of its own, and the words stand in a comment."""

from __future__ import annotations

import math
import struct
from array import array
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from trunkline_server.wire.audio.wav import SAMPLE_BYTES, wav_head

RATE_HZ: Final = 8_000
WORD_MS: Final = 120
LOW_HZ: Final = 220
LOUD: Final = 8_000


def head(words: str, count: int) -> bytes:
    """What stands before the tones of so many words."""
    text = words.encode() + b"\0"
    text += b"\0" * (len(text) % 2)
    comment = struct.pack("<4s4sI", b"INFO", b"ICMT", len(text)) + text
    return wav_head(RATE_HZ, count * len(tone("")), struct.pack("<4sI", b"LIST", len(comment)) + comment)


@lru_cache(maxsize=256)
def tone(word: str) -> bytes:
    """One word; the same one sounds the same."""
    pitch_hz = LOW_HZ + blake2b(word.encode(), digest_size=1).digest()[0] * 2
    count = RATE_HZ * WORD_MS // 1000
    samples = array("h", (round(LOUD * math.sin(2 * math.pi * pitch_hz * at / RATE_HZ)) for at in range(count)))
    return struct.pack(f"<{count}h", *samples)


def words_in(recording: bytes) -> str:
    """What the comment says; empty where there is none."""
    notes = _chunk(recording, b"LIST")
    return notes[12:].rstrip(b"\0").decode(errors="replace") if notes[4:8] == b"ICMT" else ""


def length_ms(recording: bytes) -> int:
    """How long it is: a WAV file by its rate, all else as if a second had 16,000 bytes."""
    rate = int.from_bytes(_chunk(recording, b"fmt ")[8:12], "little") or RATE_HZ * SAMPLE_BYTES
    return len(_chunk(recording, b"data") or recording) * 1000 // rate


def _chunk(recording: bytes, name: bytes) -> bytes:
    """What is in the first chunk of that name of a WAV file."""
    at = 12
    while recording[:4] == b"RIFF" and at + 8 <= len(recording):
        size = int.from_bytes(recording[at + 4 : at + 8], "little")
        if recording[at : at + 4] == name:
            return recording[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    return b""
