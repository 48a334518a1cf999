"""The file that says where this gateway serves: written once it does, gone once it does not."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec


class AddressFile:
    """`addresses.json` in the data directory. Two gateways of one directory share it; the later one stands in it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, addresses: Mapping[str, str]) -> None:
        """Whole or not at all: others wait for this file."""
        partial = self._path.with_suffix(".partial")
        partial.write_bytes(msgspec.json.encode(addresses))
        partial.replace(self._path)

    def forget_unless(self, grpc: str) -> None:
        """Removes what a crash left behind, unless it is still right."""
        if self._grpc() not in ("", grpc):
            self._path.unlink(missing_ok=True)

    def forget(self, grpc: str) -> None:
        """Removes it, if it is about this gateway."""
        if self._grpc() == grpc:
            self._path.unlink(missing_ok=True)

    def _grpc(self) -> str:
        with suppress(OSError, msgspec.DecodeError):
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, str]).get("grpc", "")
        return ""
