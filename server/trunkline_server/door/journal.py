"""The one line that each call leaves behind: JSON, no prompt text, no secret. Lines are written together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

import orjson

_FLUSH_AFTER_S: Final = 0.25
_FLUSH_LINES: Final = 256
_HELD_LINES_MAX: Final = 4096


class Journal:
    """`write` takes bytes to where lines go; it is called outside the path of any call."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._lines: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self.dropped_count = 0

    def record(self, event: str, fields: dict[str, object]) -> None:
        """Keep one line; a slow sink loses lines, never calls."""
        if len(self._lines) >= _HELD_LINES_MAX:
            self.dropped_count += 1
            return
        line = {"time": round(time.time(), 3), "event": event} | fields
        self._lines.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS, default=str))
        if self._timer is None:
            delay_s = 0.0 if len(self._lines) >= _FLUSH_LINES else _FLUSH_AFTER_S
            self._timer = asyncio.get_running_loop().call_later(delay_s, self.flush)

    def flush(self) -> None:
        """Write what is kept."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._lines = self._lines, []
        if lines:
            self._write(b"".join(lines))
