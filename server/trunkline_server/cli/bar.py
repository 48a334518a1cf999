"""A progress bar that lives while something is watched; elsewhere than on a terminal there is none."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self


class Bar:
    """Shows a share and a few words."""

    def __init__(self, *, hidden: bool) -> None:
        from rich.console import Console  # noqa: PLC0415 - a tenth of a second that other commands need not wait for
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

        columns = (
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[said]}"),
        )
        is_off = hidden or not sys.stderr.isatty()
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True, disable=is_off)
        self._task = self._progress.add_task("", total=1.0, said="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, share: float, said: str) -> None:
        """So far."""
        self._progress.update(self._task, completed=share, said=said)
