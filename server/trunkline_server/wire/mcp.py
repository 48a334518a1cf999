"""The Model Context Protocol as a client of tools speaks it: JSON-RPC 2.0, handshake, listing and calling; pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec
import orjson
from msgspec import Raw, Struct

T = TypeVar("T")

VERSION: Final = "2025-06-18"
SPOKEN: Final = frozenset((VERSION, "2025-11-25", "2025-03-26", "2024-11-05"))
VERSION_HEADER: Final = "mcp-protocol-version"
SESSION_HEADER: Final = "mcp-session-id"
_NULL: Final = Raw(b"null")
_UNKNOWN_METHOD: Final = {"code": -32601, "message": "not offered"}


class McpBroken(Exception):
    """What came is not the protocol, or says that it failed. Carries no words of the server's."""


class _Told(Struct):
    """Any message: an answer has an id and a result or an error, a request an id and a method."""

    id: int | str | None = None
    method: str | None = None
    result: Raw = _NULL
    error: Raw = _NULL


class _Welcome(Struct, rename="camel"):
    protocol_version: str


class _Tool(Struct, rename="camel"):
    name: str
    description: str | None = None
    input_schema: Raw = Raw(b"{}")


class _Tools(Struct, rename="camel"):
    tools: list[_Tool]
    next_cursor: str | None = None


class _Content(Struct):
    type: str
    text: str | None = None


class _Result(Struct, rename="camel"):
    content: list[_Content] = []
    structured_content: Raw = _NULL
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """To the request of this id; `result` None: it is an error."""

    id: int
    result: bytes | None


@dataclass(frozen=True, slots=True)
class Asked:
    """The server asks us; `reply` is what it gets."""

    reply: bytes


@dataclass(frozen=True, slots=True)
class Changed:
    """The server says that its tools have changed."""


@dataclass(frozen=True, slots=True)
class Definition:
    """What a server says of a tool."""

    name: str
    description: str
    schema: str

    @property
    def digest(self) -> bytes:
        """SHA-256 of all of it."""
        return hashlib.sha256(orjson.dumps([self.name, self.description, self.schema])).digest()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a tool said."""

    text: str
    is_json: bool
    is_error: bool


def request(id: int, method: str, params: Mapping[str, Any]) -> bytes:
    return orjson.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params})


def notification(method: str) -> bytes:
    return orjson.dumps({"jsonrpc": "2.0", "method": method})


def greeting() -> Mapping[str, Any]:
    """What `initialize` says of us."""
    return {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": {"name": "trunkline", "version": "1"}}


def calling(name: str, arguments_json: str) -> Mapping[str, Any]:
    return {"name": name, "arguments": orjson.Fragment(arguments_json or "{}")}


def read(data: bytes) -> Answer | Asked | Changed | None:
    """A message; None for one that is nothing to us. Raises McpBroken."""
    told = _decoded(data, _Told)
    if told.method is not None:
        return _heard(told.method, told.id)
    if not isinstance(told.id, int):
        raise McpBroken
    return Answer(told.id, bytes(told.result) if bytes(told.error) == b"null" else None)


def _heard(method: str, id: int | str | None) -> Asked | Changed | None:
    if id is not None:
        said = {"result": {}} if method == "ping" else {"error": _UNKNOWN_METHOD}
        return Asked(orjson.dumps({"jsonrpc": "2.0", "id": id, **said}))
    return Changed() if method == "notifications/tools/list_changed" else None


def read_version(result: bytes) -> str:
    """The version that the server speaks. Raises McpBroken."""
    version = _decoded(result, _Welcome).protocol_version
    if version not in SPOKEN:
        raise McpBroken
    return version


def read_tools(result: bytes) -> tuple[list[Definition], str]:
    """A page of definitions, and the cursor of the next. Raises McpBroken."""
    page = _decoded(result, _Tools)
    tools = [Definition(tool.name, tool.description or "", bytes(tool.input_schema).decode()) for tool in page.tools]
    return tools, page.next_cursor or ""


def read_outcome(result: bytes) -> Outcome:
    """Words and data; what is neither is named by its type. Raises McpBroken."""
    told = _decoded(result, _Result)
    structured = bytes(told.structured_content)
    if structured != b"null":
        return Outcome(structured.decode(), is_json=True, is_error=told.is_error)
    words = [each.text if each.text is not None else f"[{each.type}]" for each in told.content]
    return Outcome("\n".join(words), is_json=False, is_error=told.is_error)


def _decoded(data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, ValueError):
        raise McpBroken from None
