"""A chat request as the sandbox reads it."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from trunkline_server.providers.sandbox.refusal import Refusal


class Block(msgspec.Struct, frozen=True):
    """A piece of a message; pictures and files say nothing here."""

    text: str | None = None


class Message(msgspec.Struct, frozen=True):
    """One turn."""

    role: str
    content: str | list[Block] | None = None

    @property
    def text(self) -> str:
        """All its texts."""
        if isinstance(self.content, list):
            return "\n".join(block.text for block in self.content if block.text)
        return self.content or ""


class Function(msgspec.Struct, frozen=True):
    """A tool that is offered, or wanted."""

    name: str
    parameters: dict[str, object] | None = None


class Tool(msgspec.Struct, frozen=True):
    """What may be called; only functions are known here."""

    function: Function | None = None


class NamedSchema(msgspec.Struct, frozen=True):
    """The schema that the answer must meet."""

    schema: dict[str, object] | bool | None = None


class ResponseFormat(msgspec.Struct, frozen=True):
    """The shape of the answer."""

    type: str = "text"
    json_schema: NamedSchema | None = None


class StreamOptions(msgspec.Struct, frozen=True):
    """Whether a stream ends with its usage."""

    include_usage: bool = False


class Question(msgspec.Struct, frozen=True):
    """The fields that change what the sandbox does; others are skipped."""

    model: str
    messages: Annotated[list[Message], msgspec.Meta(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, msgspec.Meta(ge=1, le=16)] | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    max_completion_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    stop: str | list[str] | None = None
    tools: list[Tool] | None = None
    tool_choice: str | Tool | None = None
    response_format: ResponseFormat | None = None
    script: dict[str, object] | None = None

    @property
    def heard(self) -> str:
        """What the user said last."""
        return next((each.text for each in reversed(self.messages) if each.role == "user"), "")

    @property
    def words(self) -> int:
        """The words of all messages: what the sandbox charges as input."""
        return sum(len(each.text.split()) for each in self.messages)

    @property
    def words_max(self) -> int | None:
        """The longest answer that is wanted."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def stops(self) -> list[str]:
        """What ends the answer."""
        return [self.stop] if isinstance(self.stop, str) else self.stop or []

    @property
    def schema(self) -> dict[str, object] | bool | None:
        """The schema that the answer must meet."""
        named = self.response_format.json_schema if self.response_format else None
        return named.schema if named else None

    @property
    def callable_tool(self) -> Function | None:
        """The tool that is wanted, else the first that is offered."""
        offered = [tool.function for tool in self.tools or [] if tool.function]
        if isinstance(self.tool_choice, Tool) and self.tool_choice.function:
            wanted = self.tool_choice.function.name
            return next((tool for tool in offered if tool.name == wanted), None)
        return None if self.tool_choice == "none" or not offered else offered[0]


_DECODER: Final = msgspec.json.Decoder(Question)


def read(body: bytes) -> Question:
    """The question in a request body. Raises Refusal."""
    try:
        return _DECODER.decode(body)
    except (ValueError, RecursionError) as error:  # msgspec's own errors are ValueErrors
        raise Refusal(400, "invalid_request", f"the body is not a chat request: {error}") from error
