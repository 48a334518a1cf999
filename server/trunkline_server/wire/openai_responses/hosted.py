"""Tools that the provider runs: their items as calls of ours, with what they found in a part of its own, and back.

The call's state is its item without the findings. On the way back the two are joined again, by the item's id.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import msgspec
import orjson

from trunkline.v1 import content_pb2
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.wire import dialect
from trunkline_server.wire.openai_responses.shapes import ACTION

PICTURE: Final = "image_generation_call"
WORDS: Final = "arguments"  # the field of arguments that are JSON text already
FOUND: Final = ".found"  # ends the type of the part that holds the findings
MEDIA_TYPES: Final = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}

Fields = Mapping[str, msgspec.Raw]


class Hosted(NamedTuple):
    """A tool: its name where the item has none, the fields of its arguments and findings, and what it is billed by."""

    name: str
    arguments: tuple[str, ...]
    found: tuple[str, ...] = ()
    unit: str = ""


HOSTED: Final[Mapping[str, Hosted]] = {
    "web_search_call": Hosted("web_search", ("action",), unit="searches"),
    "file_search_call": Hosted("file_search", ("queries",), ("results",), "storage_searches"),
    "code_interpreter_call": Hosted("code_interpreter", ("code", "container_id"), ("outputs",)),
    "mcp_call": Hosted("mcp", (WORDS,), ("output", "error")),
    PICTURE: Hosted("image_generation", ("revised_prompt",), ("result",), "images"),
}


def arguments_of(tool: Hosted, fields: Fields) -> str:
    """What the tool was asked, as the text of a JSON object."""
    said = {name: fields[name] for name in tool.arguments if _is_said(fields, name)}
    if WORDS in said:
        return dialect.parse(_TEXT, said[WORDS])
    return _object(said)


def state_of(tool: Hosted, fields: Fields) -> bytes:
    """The item without what was found."""
    kept = {name: orjson.Fragment(bytes(value)) for name, value in fields.items()}
    for name in _found(tool, fields):
        del kept[name]
    return orjson.dumps(kept)


def found_of(type_: str, fields: Fields, origin: content_pb2.ProviderState) -> Iterator[content_pb2.Part]:
    """What was found, as a part that names its item: a picture, or JSON."""
    found = _found(HOSTED[type_], fields)
    if not found:
        return
    if type_ == PICTURE:
        blob = content_pb2.Blob(data=_bytes(fields["result"]), media_type=_media_type(fields))
        yield content_pb2.Part(image=content_pb2.ImagePart(blob=blob), provider_state=origin)
        return
    named = {name: fields[name] for name in ("id", *found)}
    block = content_pb2.OpaquePart(provider=origin.provider, type=type_ + FOUND, json=_object(named))
    yield content_pb2.Part(opaque=block)


def count_of(type_: str, fields: Fields) -> int:
    """How many of its units the call is: opening a page that a search had found is none."""
    if type_ == "web_search_call" and _is_said(fields, "action"):
        return int(dialect.parse(ACTION, fields["action"]).type in ("search", ""))
    return 1


def encode_picture(picture: content_pb2.ImagePart) -> str:
    """A generated picture as its item holds it."""
    return base64.b64encode(picture.blob.data).decode()


_TEXT: Final = msgspec.json.Decoder(str)


def _found(tool: Hosted, fields: Fields) -> list[str]:
    """What could not be joined again, because the item has no id, stays where it is."""
    return [name for name in tool.found if _is_said(fields, name) and _is_said(fields, "id")]


def _is_said(fields: Fields, name: str) -> bool:
    return name in fields and bytes(fields[name]) != b"null"


def _object(fields: Fields) -> str:
    return dialect.verbatim(msgspec.Raw(orjson.dumps({name: orjson.Fragment(bytes(fields[name])) for name in fields})))


def _bytes(raw: msgspec.Raw) -> bytes:
    try:
        return base64.b64decode(dialect.parse(_TEXT, raw))
    except ValueError:
        raise UpstreamFailure(FailureKind.BROKEN) from None


def _media_type(fields: Fields) -> str:
    told = dialect.parse(_TEXT, fields["output_format"]) if _is_said(fields, "output_format") else ""
    return MEDIA_TYPES.get(told, "image/png")
