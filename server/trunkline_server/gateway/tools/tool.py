"""A tool that the gateway can run, whatever it is behind, and what it says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from trunkline.v1 import tools_pb2

READ_BYTES_MAX: Final = 1024 * 1024
"""A tool that says more than this has failed; what is above its own limit is cut."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A call of a tool. Its arguments have met the schema."""

    call_id: str
    arguments_json: str


@dataclass(frozen=True, slots=True)
class Said:
    """What a tool answered: words, or the text of JSON where `is_json`. `is_error`: it says itself that it failed."""

    text: str
    is_json: bool = False
    is_error: bool = False


Run: TypeAlias = Callable[[Ask], Awaitable[Said]]


@dataclass(frozen=True, slots=True)
class Tool:
    """`run` raises URL_NOT_ALLOWED, TOOL_FAILED, TOOL_CHANGED; its time is bounded by who runs it."""

    spec: tools_pb2.ToolSpec
    run: Run
