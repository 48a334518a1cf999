"""How long a recording is, as far as its bytes tell without hearing it."""

from __future__ import annotations

import struct
from typing import Final

BYTES_PER_MS_USUAL: Final = 16
"""128 kbit/s."""
BYTES_PER_MS_LEAST: Final = 1
"""8 kbit/s, below which nobody understands a word."""

_RIFF_BYTES: Final = 12


def duration_ms(data: bytes) -> int:
    """Exact for WAV; else by the usual bit rate."""
    return _wav_ms(data) or len(data) // BYTES_PER_MS_USUAL


def duration_ms_max(data: bytes) -> int:
    """Exact for WAV; else by the lowest bit rate that speech has."""
    return _wav_ms(data) or len(data) // BYTES_PER_MS_LEAST


def _wav_ms(data: bytes) -> int:
    """0 where the bytes are no WAV, or do not say."""
    if not data.startswith(b"RIFF") or data[8:12] != b"WAVE":
        return 0
    at = _RIFF_BYTES
    bytes_per_s = 0
    while at + 8 <= len(data):
        name, size = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        if name == b"fmt " and at + 20 <= len(data):
            bytes_per_s = struct.unpack_from("<I", data, at + 16)[0]
        if name == b"data":
            there = len(data) - at - 8  # streamed files say that they are endless
            return min(size, there) * 1000 // bytes_per_s if bytes_per_s else 0
        at += 8 + size + size % 2
    return 0
