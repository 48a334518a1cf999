"""The figures of several processes at one address, told as those of one by whichever is asked.

Each writes its own to a file, again and again, and begins where the one before it in the same place ended: what was
counted does not fall when a process crashes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from trunkline_server.core.figures import Family, together

WRITE_S: Final = 1.0
FRESH_S: Final = 10.0
"""Levels that are older are those of a process that is gone."""
SUFFIX: Final = ".figures"

_log = logging.getLogger(__name__)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Family]).decode


class Place:
    """One of them; `told` gives the figures of this process."""

    def __init__(self, file: Path, told: Callable[[], list[Family]]) -> None:
        self._file = file
        self._told = told
        self._before = _counted(_read(file))

    def figures(self) -> list[Family]:
        """Of all together."""
        others = (_of(file) for file in self._file.parent.glob(f"*{SUFFIX}") if file != self._file)
        return together(self._mine(), *others)

    def write(self) -> None:
        """Tell the others."""
        draft = self._file.with_suffix(".new")
        try:
            draft.write_bytes(_encode(self._mine()))
            draft.replace(self._file)
        except OSError as error:
            _log.warning("figures.unwritten errno=%s", error.errno)

    async def keep(self) -> None:
        """Tell the others, until cancelled."""
        while True:
            self.write()
            await asyncio.sleep(WRITE_S)

    def _mine(self) -> list[Family]:
        return together(self._told(), self._before)


def _of(file: Path) -> list[Family]:
    with suppress(OSError):
        if time.time() - file.stat().st_mtime < FRESH_S:
            return _read(file)
    return _counted(_read(file))


def _counted(families: Iterable[Family]) -> list[Family]:
    return [family for family in families if family.is_cumulative]


def _read(file: Path) -> list[Family]:
    try:
        return _decode(file.read_bytes())
    except (OSError, msgspec.DecodeError):
        return []
