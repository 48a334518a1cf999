"""How long somebody waits who may have to ask more than once."""

from __future__ import annotations

import time
from typing import Final

from trunkline.errors import TimedOut, TrunklineError

AGAIN_S: Final = 0.5
_LEAST_S: Final = 0.05
_TRIES_MAX: Final = 5


class Patience:
    """So many seconds from now, or without an end."""

    def __init__(self, timeout_s: float | None) -> None:
        self._timeout_s = timeout_s
        self._end_s = None if timeout_s is None else time.monotonic() + timeout_s

    @property
    def left_s(self) -> float | None:
        if self._end_s is None:
            return None
        return max(self._end_s - time.monotonic(), _LEAST_S)

    def pause_s(self, error: TrunklineError, usual_s: float) -> float:
        """How long to wait after a call that ended early. Raises `TimedOut` once patience is over."""
        if self._end_s is not None and time.monotonic() >= self._end_s:
            raise TimedOut(f"it has not ended after {self._timeout_s:g} s", error.facts) from None
        return usual_s if error.retry_after_s is None else error.retry_after_s


class Tries:
    """How often in a row something may fail that comes no further in between."""

    def __init__(self) -> None:
        self._failed = 0
        self._at = 0

    def pause_s(self, error: TrunklineError, at: int) -> float:
        """How long to wait before the next one. Raises the error where there is none."""
        self._failed = 1 if at > self._at else self._failed + 1
        self._at = at
        if self._failed >= _TRIES_MAX:
            raise error
        return AGAIN_S if error.retry_after_s is None else error.retry_after_s
