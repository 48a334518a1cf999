"""Where log lines go: a thread of its own writes them, so that a slow pipe holds up nobody."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Final, Protocol

_WAITING_MAX: Final = 64
_CLOSE_S: Final = 1.0


class Writable(Protocol):
    """A binary file."""

    def write(self, data: bytes, /) -> object: ...

    def flush(self) -> object: ...


class Sink:
    """What cannot be written in time is dropped and counted. `clean` takes out what must not be written."""

    def __init__(self, file: Writable, clean: Callable[[bytes], bytes] = bytes) -> None:
        self._file = file
        self._clean = clean
        self._waiting: queue.Queue[bytes | None] = queue.Queue(_WAITING_MAX)
        self._thread = threading.Thread(target=self._run, name="trunkline-log", daemon=True)
        self._thread.start()
        self.dropped_count = 0

    def write(self, data: bytes) -> None:
        """Hand over; never waits."""
        try:
            self._waiting.put_nowait(data)
        except queue.Full:
            self.dropped_count += 1

    def close(self) -> None:
        """Write what is left, if that does not take long."""
        try:
            self._waiting.put(None, timeout=_CLOSE_S)
        except queue.Full:
            return
        self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        while (data := self._waiting.get()) is not None:
            try:
                self._file.write(self._clean(data))
                self._file.flush()
            except (OSError, ValueError):
                self.dropped_count += 1
