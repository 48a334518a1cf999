"""What makes an example one: who speaks, what is said, whether there is something to learn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeGuard

import orjson

from trunkline_server.core.estimate import IMAGE_TOKENS, MESSAGE_TOKENS, TOOL_TOKENS, text_tokens

MESSAGES_MAX: Final = 2048
INSTRUCTING: Final = frozenset(("system", "developer"))
ROLES: Final = INSTRUCTING | {"user", "assistant", "tool"}
FIELDS: Final = frozenset(("messages", "tools", "parallel_tool_calls"))


@dataclass(frozen=True, slots=True)
class Rules:
    """`examples_min`: how many a provider wants. `tokens_max`: of one example; 0: not known."""

    examples_min: int = 1
    tokens_max: int = 0


class Wrong(NamedTuple):
    """Where in an example, and what."""

    field: str
    description: str


def judged(example: object, rules: Rules) -> tuple[int, list[Wrong]]:
    """The tokens of an example, and what is wrong with it."""
    if not _is_object(example):
        return 0, [Wrong("", "is no JSON object")]
    wrongs = [] if example.keys() <= FIELDS else [Wrong("", "has a field that is not messages, tools or such")]
    messages = example.get("messages")
    if not isinstance(messages, list) or not messages:
        return 0, [*wrongs, Wrong("messages", "is missing, or no list of messages")]
    if len(messages) > MESSAGES_MAX:
        return 0, [*wrongs, Wrong("messages", f"are more than {MESSAGES_MAX}")]
    wrongs += _of_messages(messages)
    tokens = sum(map(_tokens, messages)) + _tool_tokens(example.get("tools"))
    if rules.tokens_max and tokens > rules.tokens_max:
        wrongs.append(Wrong("", f"has about {tokens} tokens, and the model takes {rules.tokens_max}"))
    return tokens, wrongs


def _of_messages(messages: Sequence[object]) -> Iterator[Wrong]:
    called: set[object] = set()
    for place, message in enumerate(messages):
        at = f"messages[{place}]"
        if not _is_object(message):
            yield Wrong(at, "is no JSON object")
            continue
        yield from (Wrong(f"{at}.{wrong.field}", wrong.description) for wrong in _of_message(message, called))
        called |= {call.get("id") for call in _calls(message)}
    if not any(map(_is_learned, messages)):
        yield Wrong("messages", "have no answer of the assistant to learn from")
    elif not (_is_object(messages[-1]) and messages[-1].get("role") == "assistant"):
        yield Wrong("messages", "do not end with an answer of the assistant")


def _of_message(message: Mapping[str, Any], called: set[object]) -> Iterator[Wrong]:
    role = message.get("role")
    if not isinstance(role, str) or role not in ROLES:
        yield Wrong("role", "is none of system, developer, user, assistant and tool")
        return
    if role == "assistant" and message.get("weight", 1) not in (0, 1):
        yield Wrong("weight", "is neither 0 nor 1")
    if role == "tool" and message.get("tool_call_id") not in called:
        yield Wrong("tool_call_id", "names no call that was made before")
    if role == "assistant" and message.get("tool_calls") is not None:
        yield from _of_calls(message["tool_calls"])
    elif not _is_content(message.get("content"), takes_pictures=role == "user"):
        yield Wrong("content", "is missing, empty, or neither a text nor parts that can be learned from")


def _of_calls(calls: object) -> Iterator[Wrong]:
    if not isinstance(calls, list) or not calls:
        yield Wrong("tool_calls", "is no list of calls")
        return
    for place, call in enumerate(calls):
        if not _is_call(call):
            yield Wrong(f"tool_calls[{place}]", "lacks an id, a function's name, or arguments as text")


def _is_call(call: object) -> bool:
    if not _is_object(call) or not _is_object(function := call.get("function")):
        return False
    return all(isinstance(each, str) for each in (call.get("id"), function.get("name"), function.get("arguments")))


def _is_content(content: object, *, takes_pictures: bool) -> bool:
    if isinstance(content, str):
        return bool(content)
    return (
        isinstance(content, list)
        and bool(content)
        and all(_is_part(part, takes_pictures=takes_pictures) for part in content)
    )


def _is_part(part: object, *, takes_pictures: bool) -> bool:
    if not _is_object(part):
        return False
    if part.get("type") == "text":
        return isinstance(part.get("text"), str)
    return takes_pictures and part.get("type") == "image_url" and "image_url" in part


def _is_learned(message: object) -> bool:
    return _is_object(message) and message.get("role") == "assistant" and message.get("weight", 1) != 0


def _calls(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    calls = message.get("tool_calls")
    found = [call for call in calls if _is_object(call)] if isinstance(calls, list) else []
    return [call for call in found if isinstance(call.get("id"), str)]


def _tokens(message: object) -> int:
    if not _is_object(message):
        return 0
    content = message.get("content")
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    tokens = MESSAGE_TOKENS + sum(map(_part_tokens, parts))
    return tokens + sum(TOOL_TOKENS + text_tokens(orjson.dumps(call).decode()) for call in _calls(message))


def _part_tokens(part: object) -> int:
    if not _is_object(part):
        return 0
    text = part.get("text")
    return text_tokens(text) if isinstance(text, str) else IMAGE_TOKENS if part.get("type") == "image_url" else 0


def _tool_tokens(tools: object) -> int:
    return text_tokens(orjson.dumps(tools).decode()) if isinstance(tools, list) else 0


def _is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)
