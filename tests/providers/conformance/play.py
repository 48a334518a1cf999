"""What a provider is to do, in nobody's dialect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from trunkline.v1 import usage_pb2

USAGE: Final = usage_pb2.Usage(
    input_tokens=12,
    cached_input_tokens=4,
    output_tokens=5,
    reasoning_output_tokens=2,
    source=usage_pb2.USAGE_SOURCE_PROVIDER,
)
"""What every answer reports; providers count the parts inside of the totals or beside them."""


@dataclass(frozen=True)
class Call:
    """A tool call; streamed in fragments where the dialect has them."""

    name: str
    fragments: tuple[str, ...]

    @property
    def arguments(self) -> str:
        return "".join(self.fragments)


@dataclass(frozen=True)
class Play:
    """An answer of words, or one that calls a tool. `end` comes before its time, once `after` words are said."""

    words: tuple[str, ...] = ()
    call: Call | None = None
    end: Literal["", "cut", "reset", "stall", "error"] = ""
    after: int = 0

    @property
    def text(self) -> str:
        return "".join(self.words)


@dataclass(frozen=True)
class Trouble:
    """A failure as it is on the wire. `wait_s` is what must be understood of it about trying again."""

    status: int
    body: object
    headers: Mapping[str, str] = field(default_factory=dict)
    wait_s: float | None = None


HELLO: Final = Play(words=("Hello", " out", " there"))
WEATHER: Final = Play(call=Call("weather", ('{"city": ', '"Wien"}')))
