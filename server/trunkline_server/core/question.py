"""Whether a question is whole: what its field rules cannot say, because it lies between fields or inside a text.

Runs on every call, so paths are spelled only where something is unusual.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core import action, json_text, media, schema
from trunkline_server.core.address import EgressPolicy, parse
from trunkline_server.core.errand import Input
from trunkline_server.core.errors import Reason, TrunklineError, invalid
from trunkline_server.core.money import CREDIT
from trunkline_server.core.options import check_options

PUBLIC: Final = EgressPolicy()
PARTS_MAX: Final = 20_000
KNOWN_CHARS_MAX: Final = 8192
_LATER: Final = "\0"
"""Stands for the names of tools that only the gateway knows."""

_INSTRUCTIONS: Final = (content_pb2.ROLE_SYSTEM, content_pb2.ROLE_DEVELOPER)
_SHOWN: Final = frozenset(("text", "image", "audio", "video", "document", "opaque"))
_MAY_SAY: Final[Mapping[int, frozenset[str]]] = {
    content_pb2.ROLE_SYSTEM: frozenset(("text",)),
    content_pb2.ROLE_DEVELOPER: frozenset(("text",)),
    content_pb2.ROLE_USER: _SHOWN | {"tool_result"},
    content_pb2.ROLE_ASSISTANT: _SHOWN | {"tool_call", "tool_result", "reasoning", "refusal"},
    content_pb2.ROLE_TOOL: frozenset(("tool_result",)),
}


def check(input: chat_pb2.ChatInput, policy: EgressPolicy = PUBLIC) -> None:
    """Raises VALIDATION, URL_NOT_ALLOWED or MEDIA_INVALID, with the path of the field."""
    _check_whole(input)
    _Conversation(policy).check(input.messages)
    check_shape(input)
    if input.actions:
        action.check_all(input.actions, "input.actions")
    check_terms(input)


def check_messages(messages: Iterable[content_pb2.Message], call_ids: Iterable[str], policy: EgressPolicy) -> None:
    """Messages by themselves, which may answer these tool calls; as `check`, with `messages` for the path."""
    _Conversation(policy, "messages", call_ids).check_all(messages)


def check_shape(input: chat_pb2.ChatInput, path: str = "input") -> None:
    """The tools, and the shape of the answer."""
    if input.tools or input.HasField("tool_choice"):
        _check_tools(input, path)
    if input.HasField("output_format"):
        _check_format(input.output_format, path)


def _check_whole(input: chat_pb2.ChatInput) -> None:
    """What it refers to was put in its place before, where that can be done."""
    if not input.model:
        raise invalid("input.model", "is missing, and neither an assistant nor a conversation names one")
    if input.HasField("prompt") or input.conversation_id or input.assistant_id:
        raise invalid("input", "names a prompt, a conversation or an assistant, which no batch at a provider can")
    if input.HasField("retrieval"):
        raise invalid("input.retrieval", "reads in a collection, which only calls of ChatService can")


def check_terms(input: Input) -> None:
    """What every kind of work has: labels, the provider's own fields, the most that it may cost."""
    for key, value in input.labels.items():
        check_name(key, "input.labels")
        check_name(value, "input.labels")
    if input.provider_options_json:
        check_options(input.provider_options_json, "input.provider_options_json")
    if input.HasField("max_cost"):
        _check_max_cost(input)


class _Conversation:
    """The messages, first to last, and what they told so far: the calls that may be answered, the number of parts."""

    __slots__ = ("_call_ids", "_parts", "_path", "_policy")

    def __init__(self, policy: EgressPolicy, path: str = "input.messages", call_ids: Iterable[str] = ()) -> None:
        self._policy = policy
        self._path = path
        self._call_ids = set(call_ids)
        self._parts = 0

    def check(self, messages: Iterable[content_pb2.Message]) -> None:
        if not self.check_all(messages):
            raise invalid(self._path, "must have at least one message that is no instruction")

    def check_all(self, messages: Iterable[content_pb2.Message]) -> bool:
        """Whether there is one that is no instruction."""
        asked = False
        for index, message in enumerate(messages):
            asked = asked or message.role not in _INSTRUCTIONS
            if message.name:
                check_name(message.name, f"{self._path}[{index}].name")
            self._check_parts(message.parts, _MAY_SAY.get(message.role, frozenset()), self._path, index)
        return asked

    def _check_parts(
        self, parts: Iterable[content_pb2.Part], allowed: frozenset[str], place: str, message: int | None = None
    ) -> None:
        for index, part in enumerate(parts):
            kind = part.WhichOneof("kind")
            self._parts += 1
            if kind == "text" and kind in allowed and self._parts <= PARTS_MAX:
                continue
            path = f"{place}.parts[{index}]" if message is None else f"{place}[{message}].parts[{index}]"
            if self._parts > PARTS_MAX:
                raise invalid(path, f"is one too many: a question has at most {PARTS_MAX} parts")
            if kind is None or kind not in allowed:
                raise invalid(path, f"a part of kind {kind!r} has no place here")
            self._check_part(part, kind, f"{path}.{kind}")

    def _check_part(self, part: content_pb2.Part, kind: str, path: str) -> None:
        match kind:
            case "image" | "audio" | "video" | "document":
                self._check_media(part, kind, path)
            case "tool_call":
                self._check_call(part.tool_call, path)
            case "tool_result":
                self._check_result(part.tool_result, path)
            case "opaque":
                check_name(part.opaque.provider, f"{path}.provider")
                check_name(part.opaque.type, f"{path}.type")
                json_text.check_object(part.opaque.json, f"{path}.json")
            case _:  # words, which may say anything
                pass

    def _check_call(self, call: content_pb2.ToolCallPart, path: str) -> None:
        check_name(call.call_id, f"{path}.call_id")
        check_name(call.name, f"{path}.name")
        self._call_ids.add(call.call_id)
        # what the model itself spelled wrongly may go back to it as it was
        if call.arguments_json and call.state != content_pb2.TOOL_CALL_STATE_INVALID:
            json_text.check_object(call.arguments_json, f"{path}.arguments_json")

    def _check_result(self, result: content_pb2.ToolResultPart, path: str) -> None:
        if result.call_id not in self._call_ids:
            raise invalid(f"{path}.call_id", "answers no tool call of an earlier message")
        check_name(result.name, f"{path}.name")
        if result.structured_json:
            json_text.check(result.structured_json, f"{path}.structured_json")
        self._check_parts(result.parts, _SHOWN, path)

    def _check_media(self, part: content_pb2.Part, kind: str, path: str) -> None:
        if kind == "document" and part.document.WhichOneof("body") == "text":
            return
        check_blob(blob_of(part), kind, f"{path}.blob", self._policy)


def blob_of(part: content_pb2.Part) -> content_pb2.Blob:
    """The blob of a part that is a picture, sound, film or document."""
    blob: content_pb2.Blob = getattr(part, part.WhichOneof("kind") or "image").blob
    return blob


def check_blob(blob: content_pb2.Blob, kind: str, path: str, policy: EgressPolicy) -> None:
    """A file in the question: where it is, or what its bytes are."""
    check_name(blob.media_type, f"{path}.media_type")
    check_name(blob.filename, f"{path}.filename")
    match blob.WhichOneof("source"):
        case "data":
            check_data(blob.data, blob.media_type, kind, path)
        case "uri":
            parse(blob.uri, f"{path}.uri", policy)
        case "file_id":
            check_name(blob.file_id, f"{path}.file_id")
        case None:
            raise invalid(path, "has neither bytes nor an address nor a file id")


def check_data(data: bytes, declared: str, kind: str, path: str) -> str:
    """The media type of bytes that are what they should be. Raises MEDIA_INVALID."""
    if not data:
        raise invalid(f"{path}.data", "is empty", Reason.MEDIA_INVALID)
    if kind == "image":
        return media.check_image(data, declared, f"{path}.data")
    if kind != "document" and not declared:
        raise invalid(f"{path}.media_type", f"is missing: {kind} does not tell its own type")
    return media.check_file(data, declared, f"{path}.data")


def _check_tools(input: chat_pb2.ChatInput, root: str) -> None:
    names: set[str] = set()
    for index, tool in enumerate(input.tools):
        path = f"{root}.tools[{index}]"
        if tool.HasField("tool_id") or tool.HasField("mcp"):
            names.add(_LATER)
            continue
        name = _check_hosted(tool.hosted, path) if tool.HasField("hosted") else _check_function(tool.function, path)
        if name and name in names:
            raise invalid(f"{path}.function.name", "is the name of an earlier tool")
        names.add(name)
    if input.HasField("tool_choice"):
        _check_choice(input.tool_choice, names, f"{root}.tool_choice")


def _check_function(function: content_pb2.FunctionTool, path: str) -> str:
    text = function.parameters_json_schema
    if text and (len(text) > KNOWN_CHARS_MAX or not _is_known_object(text)):
        json_text.check_object(text, f"{path}.function.parameters_json_schema")
    return function.name


@lru_cache(maxsize=1024)
def _is_known_object(text: str) -> bool:
    """The same tools come with every call of a program."""
    try:
        json_text.check_object(text, "")
    except TrunklineError:
        return False
    return True


def _check_hosted(hosted: content_pb2.HostedTool, path: str) -> str:
    check_name(hosted.provider, f"{path}.hosted.provider")
    check_name(hosted.type, f"{path}.hosted.type")
    config = json_text.check_object(hosted.config_json or "{}", f"{path}.hosted.config_json")
    name = config.get("name")
    return name if isinstance(name, str) else ""


def _check_choice(choice: content_pb2.ToolChoice, names: set[str], path: str) -> None:
    if not names:
        raise invalid(path, "needs tools to choose from")
    if choice.WhichOneof("kind") == "tool_name" and choice.tool_name not in names and _LATER not in names:
        raise invalid(f"{path}.tool_name", "is the name of no tool of this question")


def _check_format(output_format: content_pb2.OutputFormat, root: str) -> None:
    if output_format.WhichOneof("kind") == "json_schema":
        schema.compile(output_format.json_schema.json_schema, f"{root}.output_format.json_schema.json_schema")


def _check_max_cost(input: Input) -> None:
    if input.max_cost.unit != CREDIT:
        raise invalid("input.max_cost.unit", f"must be {CREDIT!r}")
    if input.max_cost.nanos < 0:
        raise invalid("input.max_cost.nanos", "must not be negative")


def check_name(text: str, path: str) -> None:
    """No store can keep a NUL."""
    if "\0" in text:
        raise invalid(path, "has a NUL character")
