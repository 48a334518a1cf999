"""What is read of the server's JSON. Fields that are not named here are skipped unread."""

from __future__ import annotations

from typing import Final

import msgspec

from trunkline_server.core.offered import Offered

NOTHING: Final = msgspec.Raw(b"null")


class Shape(msgspec.Struct, gc=False):
    """Holds no cycles, so the collector need not look at it."""


class Function(Shape):
    """Of a tool call. The arguments are an object; their text is kept as it is."""

    name: str = ""
    arguments: msgspec.Raw = NOTHING


class ToolCall(Shape):
    """A tool call; it comes whole. Older servers give it no id."""

    function: Function
    id: str | None = None


class Said(Shape):
    """A message, or what a line adds to one."""

    content: str | None = None
    thinking: str | None = None
    tool_calls: list[ToolCall] | None = None
    images: list[str] | None = None


class Token(Shape):
    """How likely a token was, and what else might have stood there."""

    token: str = ""
    logprob: float | None = None
    top_logprobs: list[Token] | None = None


class Reply(Shape):
    """A whole answer, or a line of a streamed one; the last has `done` and the counts. It can also be an error."""

    message: Said | None = None
    done: bool = False
    model: str | None = None
    error: object = None
    logprobs: list[Token] | None = None
    done_reason: str | None = None
    prompt_eval_count: float | None = None
    eval_count: float | None = None


class Model(Shape):
    """An entry of the list of models."""

    name: str

    @property
    def offered(self) -> Offered:
        return Offered(self.name)


class Models(Shape):
    """The list of models that the server holds."""

    models: list[Model]


REPLY: Final = msgspec.json.Decoder(Reply)
MODELS: Final = msgspec.json.Decoder(Models)
