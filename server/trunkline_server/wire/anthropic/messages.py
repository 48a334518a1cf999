"""The conversation: instructions apart, and turns of user and assistant that alternate."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, NoReturn

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.core.errors import Reason, invalid
from trunkline_server.wire.anthropic.cache import mark
from trunkline_server.wire.anthropic.fields import fields_of, items_of
from trunkline_server.wire.anthropic.media import encode_document, encode_image
from trunkline_server.wire.dialect import arguments

Block = dict[str, object]

_INSTRUCTIONS: Final = (content_pb2.ROLE_SYSTEM, content_pb2.ROLE_DEVELOPER)
_NOT_IN_IDS: Final = re.compile(r"[^A-Za-z0-9_-]")


def encode_system(ask: Ask) -> list[Block]:
    """The instructions, wherever they stand in the conversation."""
    return [
        block
        for index, message in enumerate(ask.input.messages)
        if message.role in _INSTRUCTIONS
        for block in _blocks(ask, message, f"messages[{index}]")
    ]


def encode_messages(ask: Ask) -> list[dict[str, object]]:
    """The turns. Neighbours of one role become one; a turn of which nothing is left is left out."""
    turns: list[tuple[str, list[Block]]] = []
    for index, message in enumerate(ask.input.messages):
        if message.role in _INSTRUCTIONS:
            continue
        role = "assistant" if message.role == content_pb2.ROLE_ASSISTANT else "user"
        blocks = _blocks(ask, message, f"messages[{index}]")
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(blocks)
        elif blocks:
            turns.append((role, blocks))
    return [{"role": role, "content": _results_first(blocks)} for role, blocks in turns]


def _results_first(blocks: list[Block]) -> list[Block]:
    """The provider wants the results of its calls before anything else in the turn."""
    return sorted(blocks, key=lambda block: block.get("type") != "tool_result")


def _blocks(ask: Ask, message: content_pb2.Message, path: str) -> list[Block]:
    if message.name:
        ask.drop(f"{path}.name", "the provider does not take names of speakers")
    blocks = []
    for index, part in enumerate(message.parts):
        block = _encode_part(ask, part, f"{path}.parts[{index}]")
        if block:
            blocks.append(block)
    return blocks


def _encode_part(ask: Ask, part: content_pb2.Part, path: str) -> Block:
    block = _PARTS[part.WhichOneof("kind") or "text"](ask, part, path)
    if part.HasField("reasoning"):
        if part.HasField("cache_hint"):
            ask.drop(f"{path}.cache_hint", "the provider does not cache up to a thought")
        return block
    return mark(ask, block, part, path) if block else block


def _plain(text: str) -> Block:
    """Text; the provider refuses blocks that are blank."""
    return {"type": "text", "text": text} if text.strip() else {}


def _text(ask: Ask, part: content_pb2.Part, path: str) -> Block:
    block = _plain(part.text.text)
    state = _own_state(ask, part)
    if block and state:
        block["citations"] = items_of(state, f"{path}.provider_state.data")
    return block


def _tool_call(ask: Ask, part: content_pb2.Part, path: str) -> Block:
    call, state = part.tool_call, _own_state(ask, part)
    provided = call.executor == content_pb2.TOOL_EXECUTOR_PROVIDER
    if provided and part.HasField("provider_state") and not state:
        return {}
    block: Block = {"type": "server_tool_use" if provided else "tool_use", "id": _id(call.call_id), "name": call.name}
    said = fields_of(state, f"{path}.provider_state.data")
    return {**block, **said, "input": arguments(call)}


def _tool_result(ask: Ask, part: content_pb2.Part, path: str) -> Block:
    result = part.tool_result
    block: Block = {"type": "tool_result", "tool_use_id": _id(result.call_id)}
    content = [_encode_part(ask, each, f"{path}.tool_result.parts[{i}]") for i, each in enumerate(result.parts)]
    content.append(_plain(result.structured_json))
    said = [each for each in content if each]
    if said:
        block["content"] = said
    if result.is_error:
        block["is_error"] = True
    return block


def _reasoning(ask: Ask, part: content_pb2.Part, path: str) -> Block:
    """Thoughts go back with the provider's signature or not at all."""
    state = _own_state(ask, part)
    if not state:
        _warn_dropped(ask)
        return {}
    sealed = _sealed(state, path)
    if part.reasoning.redacted:
        return {"type": "redacted_thinking", "data": sealed}
    return {"type": "thinking", "thinking": part.reasoning.text, "signature": sealed}


def _sealed(state: bytes, path: str) -> str:
    try:
        return state.decode()
    except UnicodeDecodeError:
        raise invalid(f"input.{path}.provider_state.data", "must be the state as the provider gave it") from None


def _opaque(ask: Ask, part: content_pb2.Part, path: str) -> Block:
    opaque = part.opaque
    if opaque.provider != ask.provider:
        _warn_dropped(ask)
        return {}
    kind = {"type": opaque.type} if opaque.type else {}
    return {**kind, **fields_of(opaque.json, f"{path}.opaque.json"), **kind}


def _refused(_ask: Ask, part: content_pb2.Part, path: str) -> NoReturn:
    """Content cannot be left out: the answer would be to another question."""
    path = f"input.{path}.{part.WhichOneof('kind')}"
    raise invalid(path, "the provider does not take it", Reason.CAPABILITY_UNSUPPORTED)


def _own_state(ask: Ask, part: content_pb2.Part) -> bytes:
    """The part's state where this provider made it; another's is left out."""
    if not part.HasField("provider_state"):
        return b""
    if part.provider_state.provider == ask.provider:
        return part.provider_state.data
    _warn_dropped(ask)
    return b""


def _warn_dropped(ask: Ask) -> None:
    code = chat_pb2.WARNING_CODE_PROVIDER_STATE_DROPPED
    if all(warning.code != code for warning in ask.warnings):
        ask.warn(code, "messages", "state of another provider was left out")


def _id(call_id: str) -> str:
    """A call's id in the letters that the provider takes; other providers use more."""
    return _NOT_IN_IDS.sub("_", call_id)


_PARTS: Final[Mapping[str, Callable[[Ask, content_pb2.Part, str], Block]]] = {
    "text": _text,
    "image": lambda ask, part, path: encode_image(ask, part.image, path),
    "document": lambda _ask, part, _path: encode_document(part.document),
    "tool_call": _tool_call,
    "tool_result": _tool_result,
    "reasoning": _reasoning,
    "refusal": lambda _ask, part, _path: _plain(part.refusal.text),
    "opaque": _opaque,
    "audio": _refused,
    "video": _refused,
}
