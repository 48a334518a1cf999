"""How far work has come, shown on a terminal or told to a function."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final, TextIO, TypeAlias

Told: TypeAlias = Callable[[float, str], None]
"""Takes the share that is done, 0 to 1, and what is being done."""
Wanted: TypeAlias = bool | Told
"""A bar on the terminal, a function to be called, or nothing."""
_WIDTH: Final = 30


class Bar:
    """One line on stderr that is drawn anew, and left standing at the end."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._drawn = ""

    def __call__(self, fraction: float, message: str) -> None:
        full = round(fraction * _WIDTH)
        line = f"{'█' * full}{'░' * (_WIDTH - full)} {fraction:4.0%} {message}"
        if line != self._drawn:
            self._stream.write(f"\r{line:{len(self._drawn)}}")
            self._stream.flush()
            self._drawn = line

    def close(self) -> None:
        if self._drawn:
            self._stream.write("\n")
            self._stream.flush()


def teller(progress: Wanted) -> tuple[Told, Callable[[], None]]:
    """What to tell, and what to do at the end."""
    if progress is True:
        bar = Bar()
        return bar, bar.close
    return progress or _silent, _nothing


def _silent(_fraction: float, _message: str) -> None:
    pass


def _nothing() -> None:
    pass
