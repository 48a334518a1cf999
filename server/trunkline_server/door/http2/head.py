"""How a call begins: its method, deadline and metadata, read from a header block and judged once."""

from __future__ import annotations

import binascii
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import Final, TypeAlias

from trunkline_server.door.code import Code
from trunkline_server.door.http2.header_decoder import HeaderDecoder, HeadersTooLarge
from trunkline_server.door.http2.header_table import Field

Metadata: TypeAlias = tuple[tuple[str, str | bytes], ...]

ENCODINGS: Final = ("identity", "deflate", "gzip")
_KNOWN_MAX: Final = 64
_UNITS: Final = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_TIMEOUT: Final = re.compile(r"([0-9]{1,100})([HMSmun])")
_DIGITS_MAX: Final = 8
_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+")
_NO_VALUE: Final = re.compile(r"[\0\r\n]")
_PSEUDO: Final = frozenset((":method", ":scheme", ":path", ":authority"))
_OF_CONNECTIONS: Final = frozenset(("connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"))
_OF_GRPC: Final = frozenset(("te", "content-type", "content-length"))


class Malformed(Exception):
    """No request of HTTP/2: its stream is reset."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call is answered at once. With another `http_status` than 200 it is not even a call of gRPC."""

    code: Code
    message: str
    http_status: int = 200


@dataclass(frozen=True, slots=True)
class Head:
    """What a caller says first. `timeout_s` None: nothing was said."""

    path: str = ""
    metadata: Metadata = ()
    timeout_s: float | None = None
    encoding: str = "identity"
    refusal: Refusal | None = None


class HeadReader:
    """Calls of one connection mostly begin alike: a block that was read before is not read again."""

    def __init__(self, list_bytes_max: int) -> None:
        self._decoder = HeaderDecoder(list_bytes_max)
        self._known: dict[bytes, Head] = {}

    def read(self, block: bytes) -> Head:
        """Raises Fault or Malformed."""
        head = self._known.get(block)
        if head is not None:
            return head
        before = self._decoder.generation
        try:
            head = _head(self._decode(block))
        except HeadersTooLarge:
            head = Head(refusal=Refusal(Code.RESOURCE_EXHAUSTED, "the metadata is too large"))
        if self._decoder.generation == before:
            self._keep(block, head)
        return head

    def skip(self, block: bytes) -> None:
        """Only keeps the numbers right. Raises Fault."""
        with suppress(HeadersTooLarge):
            self._decode(block)

    def _decode(self, block: bytes) -> list[Field]:
        """A block that gives numbers another meaning gives it to all blocks that are known."""
        before = self._decoder.generation
        try:
            return self._decoder.decode(block)
        finally:
            if self._decoder.generation != before:
                self._known.clear()

    def _keep(self, block: bytes, head: Head) -> None:
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        self._known[block] = head


def _head(fields: Sequence[Field]) -> Head:
    pseudo = _pseudo(fields)
    said = dict(fields[len(pseudo) :])
    try:
        _check_names(fields[len(pseudo) :])
        refusal = _refusal(pseudo, said)
        return Head(
            path=pseudo[":path"],
            metadata=tuple(_metadata(fields[len(pseudo) :])),
            timeout_s=_timeout_s(said.get("grpc-timeout")),
            encoding=said.get("grpc-encoding", "identity"),
            refusal=refusal,
        )
    except ValueError as error:
        return Head(pseudo[":path"], refusal=Refusal(Code.INVALID_ARGUMENT, str(error)))


def _pseudo(fields: Sequence[Field]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in fields:
        if not name.startswith(":"):
            break
        if name in found or name not in _PSEUDO:
            raise Malformed(name)
        found[name] = value
    if not {":method", ":scheme", ":path"} <= found.keys():
        raise Malformed(":path")
    return found


def _check_names(fields: Sequence[Field]) -> None:
    for name, value in fields:
        if not _NAME.fullmatch(name) or name in _OF_CONNECTIONS or _NO_VALUE.search(value):
            raise Malformed(name)
        if name == "te" and value != "trailers":
            raise Malformed(name)


def _refusal(pseudo: dict[str, str], said: dict[str, str]) -> Refusal | None:
    if pseudo[":method"] != "POST":
        return Refusal(Code.INTERNAL, "gRPC is spoken by POST", 405)
    if not _is_grpc(said.get("content-type", "")):
        return Refusal(Code.INTERNAL, "the content-type is not application/grpc", 415)
    if said.get("grpc-encoding", "identity") not in ENCODINGS:
        return Refusal(Code.UNIMPLEMENTED, f"grpc-encoding must be one of {', '.join(ENCODINGS)}")
    return None


def _is_grpc(content_type: str) -> bool:
    kind = content_type.partition(";")[0].rstrip().lower()
    return kind in ("application/grpc", "application/grpc+proto")


def _timeout_s(text: str | None) -> float | None:
    """More digits than the protocol has stand for a time that never ends."""
    if text is None:
        return None
    found = _TIMEOUT.fullmatch(text)
    if found is None:
        raise ValueError("grpc-timeout is not a number and a unit")
    digits, unit = found.groups()
    return inf if len(digits) > _DIGITS_MAX else int(digits) * _UNITS[unit]


def _metadata(fields: Sequence[Field]) -> list[tuple[str, str | bytes]]:
    found: list[tuple[str, str | bytes]] = []
    for name, value in fields:
        if name in _OF_GRPC or (name.startswith("grpc-") and not name.endswith("-bin")):
            continue
        if name.endswith("-bin"):
            found += [(name, _from_base64(name, part)) for part in value.split(",")]
        else:
            found.append((name, value))
    return found


def _from_base64(name: str, text: str) -> bytes:
    """With or without its padding."""
    bare = text.strip().rstrip("=")
    try:
        return binascii.a2b_base64(bare + "=" * (-len(bare) % 4), strict_mode=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"{name} is not base64") from None
