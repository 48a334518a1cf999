"""Requests of other APIs: typed JSON in, and the pieces of a question that they share."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from typing import Annotated, Final, TypeAlias, TypeVar

import msgspec
from google.protobuf import json_format

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.errand import InputT
from trunkline_server.core.errors import Reason, TrunklineError, invalid

Shape = TypeVar("Shape")

Int32: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
Int64: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""Numbers that a message can hold; what JSON calls one may be longer than any."""

EXTENSION: Final = "trunkline"
"""Where such a request may carry fields of the input that its API has no word for."""


def decode(data: bytes, shape: type[Shape]) -> Shape:
    """Raises MALFORMED_MESSAGE or VALIDATION; shapes hold no word that a refusal would repeat."""
    try:
        return msgspec.json.decode(data, type=shape)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `")
        raise invalid(where.rstrip("`").removeprefix("$.") or "body", f"{what[:1].lower()}{what[1:200]}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _no_json() from None


def extended(extension: msgspec.Raw, model: str) -> chat_pb2.ChatInput:
    """The beginning of a question. Raises VALIDATION."""
    return extend(chat_pb2.ChatInput(), extension, model)


def extend(input: InputT, extension: msgspec.Raw, model: str) -> InputT:
    """The beginning of what is asked for, of whatever kind. Raises VALIDATION."""
    if given := raw_text(extension):
        try:
            json_format.Parse(given, input)
        except (json_format.ParseError, ValueError, RecursionError):
            raise invalid(EXTENSION, f"must be an object with fields of {input.DESCRIPTOR.full_name}") from None
    input.model = model
    return input


def word(table: Mapping[str, int], given: str, path: str) -> int:
    """What a word of the API means. Raises VALIDATION."""
    if given not in table:
        raise invalid(path, f"must be one of {', '.join(table)}")
    return table[given]


def raw_text(raw: msgspec.Raw) -> str:
    """JSON as it came, in text; empty where there was none. Raises MALFORMED_MESSAGE."""
    try:
        spelled = bytes(raw).decode()
    except UnicodeDecodeError:  # nobody has looked into it yet
        raise _no_json() from None
    return "" if spelled == "null" else spelled


def text(words: str) -> content_pb2.Part:
    return content_pb2.Part(text=content_pb2.TextPart(text=words))


def fill_blob(blob: content_pb2.Blob, url: str, path: str) -> None:
    """An address, or a `data:` URL with the bytes in it. Raises MEDIA_INVALID."""
    if not url.startswith("data:"):
        blob.uri = url
        return
    head, comma, data = url.removeprefix("data:").partition(",")
    if not comma or not head.endswith(";base64"):
        raise invalid(path, "a data: URL must be in base64", Reason.MEDIA_INVALID)
    blob.media_type = head.removesuffix(";base64")
    blob.data = unbase64(data, path)


def unbase64(data: str, path: str) -> bytes:
    """Raises MEDIA_INVALID."""
    try:
        return b64decode(data, validate=True)
    except ValueError:
        raise invalid(path, "is not base64", Reason.MEDIA_INVALID) from None


def _no_json() -> TrunklineError:
    return TrunklineError(Reason.MALFORMED_MESSAGE, "the body is not JSON")
