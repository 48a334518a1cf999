"""Answers of `/v1/messages`: its objects, whole or still empty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from trunkline.v1 import chat_pb2, content_pb2, usage_pb2
from trunkline_server.edge.anthropic.signature import sign

STOPS: Final[Mapping[int, str]] = {
    chat_pb2.FINISH_REASON_STOP_SEQUENCE: "stop_sequence",
    chat_pb2.FINISH_REASON_MAX_OUTPUT_TOKENS: "max_tokens",
    chat_pb2.FINISH_REASON_CONTEXT_WINDOW: "model_context_window_exceeded",
    chat_pb2.FINISH_REASON_TOOL_CALLS: "tool_use",
    chat_pb2.FINISH_REASON_CONTENT_FILTER: "refusal",
    chat_pb2.FINISH_REASON_RECITATION: "refusal",
    chat_pb2.FINISH_REASON_REFUSAL: "refusal",
    chat_pb2.FINISH_REASON_PAUSED: "pause_turn",
}
"""All others are `end_turn`."""


def message(completion_id: str, model: str) -> dict[str, Any]:
    """One that has just begun."""
    return {
        "id": completion_id.replace("cmpl_", "msg_", 1),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage(usage_pb2.Usage()),
    }


def whole(answer: chat_pb2.Completion) -> dict[str, Any]:
    candidate = answer.candidates[0] if answer.candidates else chat_pb2.Candidate()
    blocks = [block(part) for part in candidate.message.parts]
    told = {"content": [each for each in blocks if each is not None], "usage": usage(answer.usage)}
    return message(answer.completion_id, answer.model) | told | stop(candidate.finish_reason, candidate.stop_sequence)


def stop(finish_reason: int, sequence: str) -> dict[str, Any]:
    return {"stop_reason": STOPS.get(finish_reason, "end_turn"), "stop_sequence": sequence or None}


def usage(used: usage_pb2.Usage) -> dict[str, int]:
    """There what the cache gave or took is no part of the input."""
    return {
        "input_tokens": used.input_tokens - used.cached_input_tokens - used.cache_write_input_tokens,
        "cache_read_input_tokens": used.cached_input_tokens,
        "cache_creation_input_tokens": used.cache_write_input_tokens,
        "output_tokens": used.output_tokens,
    }


def block(part: content_pb2.Part) -> dict[str, Any] | None:
    """A part of the model's message; None for what the API has no block for."""
    match part.WhichOneof("kind"):
        case "text":
            return {"type": "text", "text": part.text.text}
        case "refusal":
            return {"type": "text", "text": part.refusal.text}
        case "tool_call":
            call = part.tool_call
            return {"type": "tool_use", "id": call.call_id, "name": call.name, "input": _arguments(call)}
        case "reasoning" if part.reasoning.redacted:
            return {"type": "redacted_thinking", "data": sign(part.provider_state)}
        case "reasoning":
            thoughts = part.reasoning.text or "\n\n".join(part.reasoning.summaries)
            return {"type": "thinking", "thinking": thoughts, "signature": signature(part)}
        case _:
            return None


def signature(part: content_pb2.Part) -> str:
    return sign(part.provider_state) if part.HasField("provider_state") else ""


def _arguments(call: content_pb2.ToolCallPart) -> Any:
    """What the model spelled wrongly has no place in an object."""
    readable = call.arguments_json and call.state != content_pb2.TOOL_CALL_STATE_INVALID
    return orjson.loads(call.arguments_json) if readable else {}
