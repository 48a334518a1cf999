"""The objects that `/v1/responses` answers with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from trunkline.v1 import chat_pb2, content_pb2, usage_pb2

_CUT: Final[Mapping[int, str]] = {
    chat_pb2.FINISH_REASON_MAX_OUTPUT_TOKENS: "max_output_tokens",
    chat_pb2.FINISH_REASON_CONTEXT_WINDOW: "max_output_tokens",
    chat_pb2.FINISH_REASON_CONTENT_FILTER: "content_filter",
    chat_pb2.FINISH_REASON_RECITATION: "content_filter",
}


def response(completion_id: str, created: int, model: str, status: str, output: Sequence[Any]) -> dict[str, Any]:
    """Without what only its end tells."""
    return {
        "id": completion_id.replace("cmpl_", "resp_", 1),
        "object": "response",
        "created_at": created,
        "model": model,
        "status": status,
        "output": list(output),
        "error": None,
        "incomplete_details": None,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "store": False,
        "usage": None,
    }


def ending(finish_reason: int, used: usage_pb2.Usage) -> dict[str, Any]:
    """What its end tells."""
    cut = _CUT.get(finish_reason)
    return {
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": cut} if cut else None,
        "usage": {
            "input_tokens": used.input_tokens,
            "input_tokens_details": {"cached_tokens": used.cached_input_tokens},
            "output_tokens": used.output_tokens,
            "output_tokens_details": {"reasoning_tokens": used.reasoning_output_tokens},
            "total_tokens": used.input_tokens + used.output_tokens,
        },
    }


def item(part: content_pb2.Part, id: str, status: str = "completed") -> dict[str, Any] | None:
    """One part of the model's message; None for what the API has no item for."""
    match part.WhichOneof("kind"):
        case "text" | "refusal":
            message = {"id": f"msg_{id}", "type": "message", "role": "assistant", "status": status}
            return message | {"content": [content(part)] if status == "completed" else []}
        case "tool_call":
            call = part.tool_call
            called = {"id": f"fc_{id}", "type": "function_call", "status": status, "call_id": call.call_id}
            return called | {"name": call.name, "arguments": call.arguments_json}
        case "reasoning":
            thoughts = [*part.reasoning.summaries, *filter(None, (part.reasoning.text,))]
            summary = [{"type": "summary_text", "text": each} for each in thoughts]
            return {"id": f"rs_{id}", "type": "reasoning", "summary": summary if status == "completed" else []}
        case _:
            return None


def content(part: content_pb2.Part) -> dict[str, Any]:
    """What a message holds."""
    if part.WhichOneof("kind") == "refusal":
        return {"type": "refusal", "refusal": part.refusal.text}
    return {"type": "output_text", "text": part.text.text, "annotations": [], "logprobs": []}


def whole(answer: chat_pb2.Completion) -> dict[str, Any]:
    """An answer in one piece."""
    candidate = answer.candidates[0] if answer.candidates else chat_pb2.Candidate()
    key = answer.completion_id.removeprefix("cmpl_")
    items = [item(part, f"{key}_{index}") for index, part in enumerate(candidate.message.parts)]
    told = response(
        answer.completion_id, answer.create_time.seconds, answer.model, "completed", [each for each in items if each]
    )
    return told | ending(candidate.finish_reason, answer.usage)
