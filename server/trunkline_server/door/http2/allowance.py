"""How often the other end may do what costs us and not it."""

from __future__ import annotations


class Allowance:
    """A bucket that fills with time. `spend` says whether there was enough in it."""

    __slots__ = ("_full", "_left", "_per_s", "_since")

    def __init__(self, full: int, per_s: float) -> None:
        self._full = full
        self._left = float(full)
        self._per_s = per_s
        self._since = 0.0

    def spend(self, now: float) -> bool:
        self._left = min(self._full, self._left + (now - self._since) * self._per_s) - 1
        self._since = now
        return self._left >= 0
