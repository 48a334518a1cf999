"""What every wire can do: spell a question as HTTP, and read the answer, the failure, and the side questions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Final, Generic, Protocol, TypeAlias, TypeVar, runtime_checkable

import msgspec
import orjson

from trunkline.v1 import content_pb2, models_pb2, usage_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.errors import Reason, TrunklineError, invalid
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.core.offered import Offered
from trunkline_server.wire.frames import Frame, Frames
from trunkline_server.wire.http import HttpRequest

JSON_HEADERS: Final[Mapping[str, str]] = {"content-type": "application/json", "accept": "application/json"}
STREAM_HEADERS: Final[Mapping[str, str]] = {"content-type": "application/json", "accept": "text/event-stream"}
COUNT_MAX: Final = 2**63 - 1
FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])

Shape = TypeVar("Shape")


class Decoder(Protocol):
    """Reads the body of one answer, in whatever pieces it comes, and tells an `Answer` what it read."""

    def feed(self, data: bytes) -> None:
        """The next piece. Raises UpstreamFailure where it cannot be read or is itself an error."""

    def close(self) -> None:
        """The body has ended. Raises UpstreamFailure where it may not end here."""


Readers: TypeAlias = Mapping[str, Callable[..., Decoder]]
"""By the type of the body."""


@runtime_checkable
class Wire(Protocol):
    """A provider's dialect: pure, without I/O."""

    @property
    def name(self) -> str: ...

    @property
    def capabilities(self) -> frozenset[models_pb2.Capability.ValueType]: ...

    @property
    def delta_is_token(self) -> bool:
        """A streamed delta is one token, so that counting them is measuring."""

    @property
    def needs_cap(self) -> bool:
        """The provider wants to be told the longest answer."""

    def encode_chat(self, ask: Ask) -> HttpRequest:
        """The question as the provider's own request."""

    def decode_chat(self, ask: Ask, answer: Answer, content_type: str) -> Decoder:
        """A reader for the answer, by what kind of body it says it is."""

    def encode_count(self, ask: Ask) -> HttpRequest | None:
        """The question how many tokens the input has; None where the provider cannot count."""

    def decode_count(self, body: bytes) -> int:
        """The number of input tokens."""

    def encode_models(self) -> HttpRequest:
        """The question which models there are; it also proves the key."""

    def decode_models(self, body: bytes) -> list[Offered]:
        """The models, and what the list says of them."""

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailure:
        """What a status that is not 2xx means."""


class WholeBody(ABC):
    """A decoder for answers that come in one piece: keeps the pieces and reads them at the end."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def feed(self, data: bytes) -> None:
        self._pieces.append(data)

    def close(self) -> None:
        self.read(b"".join(self._pieces))

    @abstractmethod
    def read(self, body: bytes) -> None:
        """Read the whole body."""


class FramedBody(ABC, Generic[Frame]):
    """A decoder for answers that come in frames, of which one says that the answer has ended."""

    __slots__ = ("_answer", "_frames")

    def __init__(self, answer: Answer, frames: Frames[Frame]) -> None:
        self._answer = answer
        self._frames = frames

    def feed(self, data: bytes) -> None:
        self.hear(self._frames.feed(data))

    def close(self) -> None:
        self.hear(self._frames.close())
        if not self._answer.finished:
            raise cut(self._answer)

    @abstractmethod
    def hear(self, frames: list[Frame]) -> None:
        """Read the next frames."""


def spell(body: Mapping[str, object]) -> bytes:
    """A request body as JSON; texts wrapped in `raw` go in as they are."""
    return orjson.dumps(body)


def form_text(value: object) -> str:
    """A field's value as a form has it: texts as they are, all else as JSON."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def raw(json_text: str) -> orjson.Fragment:
    """JSON text that goes into a body unread, so that key order and large numbers survive; empty text is `{}`."""
    return orjson.Fragment(json_text or "{}")


def merge(body: dict[str, object], options: Mapping[str, object]) -> dict[str, object]:
    """Put the caller's further fields into a body, last; objects that are on both sides are merged one level deep."""
    for key, value in options.items():
        present = body.get(key)
        body[key] = {**present, **value} if isinstance(present, dict) and isinstance(value, dict) else value
    return body


def hosted(tool: content_pb2.HostedTool) -> dict[str, object]:
    """A tool that the provider runs, declared as the caller declares it."""
    return {"type": tool.type, **{name: orjson.Fragment(bytes(value)) for name, value in _config(tool).items()}}


def arguments(call: content_pb2.ToolCallPart) -> object:
    """A call's arguments as an object. What the model itself spelled wrongly is no JSON: it becomes a field of one."""
    if call.state == content_pb2.TOOL_CALL_STATE_INVALID:
        return {"invalid_json": call.arguments_json}
    return raw(call.arguments_json)


def unsupported(path: str, description: str) -> TrunklineError:
    """What the dialect has no words for must not get lost."""
    return invalid(f"input.{path}", description, Reason.CAPABILITY_UNSUPPORTED)


def data_uri(blob: content_pb2.Blob, otherwise: str) -> str:
    """The bytes themselves as an address. `otherwise`: what they are where nobody says."""
    return f"data:{blob.media_type or otherwise};base64,{b64encode(blob.data).decode()}"


def parse(decoder: msgspec.json.Decoder[Shape], data: bytes) -> Shape:
    """What a provider sent, in the shape it should have."""
    try:
        return decoder.decode(data)
    except (ValueError, RecursionError):  # msgspec's own errors are ValueErrors
        raise UpstreamFailure(FailureKind.BROKEN) from None


def verbatim(block: msgspec.Raw) -> str:
    """A piece of a provider's JSON as it came."""
    try:
        return bytes(block).decode()
    except UnicodeDecodeError:
        raise UpstreamFailure(FailureKind.BROKEN) from None


def count(number: float | None) -> int:
    """A number of tokens as a provider reports it: missing and negative are none."""
    if not number or number < 0:
        return 0
    return int(number) if number < COUNT_MAX else COUNT_MAX


def input_usage(*told: float | None) -> usage_pb2.Usage | None:
    """Input tokens by the first count that is told. There is no input without any, so 0 tells nothing."""
    tokens = next((count(number) for number in told if count(number)), 0)
    return usage_pb2.Usage(input_tokens=tokens, source=usage_pb2.USAGE_SOURCE_PROVIDER) if tokens else None


def cut(answer: Answer) -> UpstreamFailure:
    """The answer ended before its end."""
    return UpstreamFailure(FailureKind.INTERRUPTED if answer.has_content else FailureKind.BROKEN)


def media_type(content_type: str) -> str:
    """A `content-type` header without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def reader(readers: Readers, content_type: str) -> Callable[..., Decoder]:
    """Who reads a body of this type. Raises UpstreamFailure where nobody does: an HTML page is a broken provider."""
    found = readers.get(media_type(content_type))
    if found is None:
        raise UpstreamFailure(FailureKind.BROKEN)
    return found


def _config(tool: content_pb2.HostedTool) -> dict[str, msgspec.Raw]:
    try:
        return FIELDS.decode(tool.config_json or "{}")
    except (ValueError, RecursionError):
        raise invalid("input.tools", "config_json must be the text of a JSON object") from None
