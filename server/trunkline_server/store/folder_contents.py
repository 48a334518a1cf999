"""The bytes of files in a directory, which all replicas must share."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar
from uuid import UUID

from trunkline_server.core.errors import store_unavailable

P = ParamSpec("P")
T = TypeVar("T")


class FolderContents:
    """A file for each piece, in 256 folders; a piece has its name only once it is on the disk."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def put(self, piece_id: UUID, data: bytes) -> None:
        await _apart(_write, self._path(piece_id), data)

    async def get(self, piece_id: UUID) -> bytes:
        return await _apart(self._path(piece_id).read_bytes)

    async def delete(self, piece_id: UUID) -> None:
        await _apart(_remove, self._path(piece_id))

    async def close(self) -> None:
        """Nothing is open."""

    def _path(self, piece_id: UUID) -> Path:
        """The random end of the name spreads them."""
        return self._root / piece_id.hex[-2:] / piece_id.hex


async def _apart(work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """In a thread, because disks make one wait."""
    try:
        return await asyncio.to_thread(work, *args, **kwargs)
    except OSError as error:
        raise store_unavailable() from error


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    begun = _begun(path)
    with begun.open("wb") as file:
        begun.chmod(0o600)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    begun.rename(path)
    _keep_names(path.parent)


def _remove(path: Path) -> None:
    """Also what a disk that was full, or a process that died, has left of it."""
    for each in (path, _begun(path)):
        each.unlink(missing_ok=True)


def _begun(path: Path) -> Path:
    return path.with_suffix(".begun")


def _keep_names(folder: Path) -> None:
    """A new name is safe once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
