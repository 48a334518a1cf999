"""Bare samples as a WAV file."""

from __future__ import annotations

import struct
from typing import Final

UNKNOWN_BYTES: Final = 0xFFFF_FFFF
SAMPLE_BYTES: Final = 2


def wav_head(rate_hz: int, data_bytes: int | None = None, extra: bytes = b"") -> bytes:
    """What stands before samples of 16 bits in one channel. A length of None is one that is not known yet, as with any
    stream; players then read to the end. `extra` are further chunks.
    """
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate_hz, rate_hz * SAMPLE_BYTES, SAMPLE_BYTES, 16)
    known = UNKNOWN_BYTES if data_bytes is None else data_bytes
    riff = UNKNOWN_BYTES if data_bytes is None else 4 + len(form) + len(extra) + 8 + data_bytes
    return struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + form + extra + struct.pack("<4sI", b"data", known)
