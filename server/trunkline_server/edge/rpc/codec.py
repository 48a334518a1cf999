"""Messages as bytes: binary, or JSON as protobuf defines it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Final, Protocol

from google.protobuf import json_format
from google.protobuf.message import Message

from trunkline_server.core.errors import TrunklineError, invalid
from trunkline_server.door.boundary import Procedure

ASIDE_BYTES: Final = 64 * 1024
"""Longer JSON is read in a thread, so that nobody else waits for it."""
_NO_FIELD: Final = re.compile(r'has no field named "([^"]{1,100})"')


class Codec(Protocol):
    """`name` is its word in content types."""

    name: str

    async def read(self, procedure: Procedure, data: bytes) -> Message:
        """Raises MALFORMED_MESSAGE or VALIDATION."""

    def write(self, message: Message) -> bytes: ...


class Binary:
    """Protobuf."""

    name = "proto"

    async def read(self, procedure: Procedure, data: bytes) -> Message:
        return procedure.read(data)

    def write(self, message: Message) -> bytes:
        return message.SerializeToString()


class Json:
    """ProtoJSON: names in lowerCamelCase, 64-bit numbers as text; names as in the proto are taken too."""

    name = "json"

    async def read(self, procedure: Procedure, data: bytes) -> Message:
        return await asyncio.to_thread(_parse, procedure, data) if len(data) > ASIDE_BYTES else _parse(procedure, data)

    def write(self, message: Message) -> bytes:
        return json_format.MessageToJson(message, indent=None, ensure_ascii=False).encode()


CODECS: Final[Mapping[str, Codec]] = {codec.name: codec for codec in (Binary(), Json())}


def _parse(procedure: Procedure, data: bytes) -> Message:
    try:
        return json_format.Parse(data or b"{}", procedure.request())
    except json_format.ParseError as error:
        raise _refusal(procedure, str(error)) from None
    except (UnicodeDecodeError, RecursionError, ValueError):
        raise procedure.malformed() from None


def _refusal(procedure: Procedure, said: str) -> TrunklineError:
    """A name that is wrong is told; a value never is."""
    found = _NO_FIELD.search(said)
    return invalid(found[1], "there is no such field") if found else procedure.malformed()
