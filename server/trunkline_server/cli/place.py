"""Where a command finds its gateway and its key when nobody tells: in the data directory of the settings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from trunkline_server.cli import settings
from trunkline_server.cli.failure import Failure, Misuse
from trunkline_server.config import Settings

_ADDRESSES: Final = "addresses.json"
_KEY: Final = "admin.key"


@dataclass(frozen=True)
class Place:
    """An address and the key to send there; an empty key is none."""

    address: str
    key: str

    @classmethod
    def find(cls, address: str | None, key: str | None) -> Self:
        """What was given, completed. The key on disk is the local gateway's and is sent to no other."""
        if address and key:
            return cls(address, _sendable(key))
        given = settings.load()
        local = local_address(given)
        if not key and (not address or address == local):
            key = local_key(given)
        return cls(address or local, _sendable(key or ""))


def local_address(given: Settings) -> str:
    """Where the gateway of these settings says it is, or would be."""
    try:
        return str(json.loads((given.data_path / _ADDRESSES).read_bytes())["grpc"])
    except (OSError, ValueError, KeyError, TypeError):
        return given.grpc.address


def local_key(given: Settings) -> str:
    """The key of the first start; empty where there is none."""
    return _read(given.data_path / _KEY)


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeError):
        raise Failure(f"{path} cannot be read; give --key, or run as the user that owns it") from None


def _sendable(key: str) -> str:
    if not key.isascii() or not key.isprintable():
        raise Misuse("--key: a key is printable ASCII on one line")
    return key
