"""Answers of `/v1/chat/completions`: whole, and in chunks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from trunkline.v1 import chat_pb2, content_pb2, usage_pb2
from trunkline_server.edge.openai.words import FINISHES


def completion(answer: chat_pb2.Completion) -> dict[str, Any]:
    return {
        "id": answer.completion_id,
        "object": "chat.completion",
        "created": answer.create_time.seconds,
        "model": answer.model,
        "choices": [_choice(each) for each in answer.candidates],
        "usage": usage(answer.usage),
    }


def usage(used: usage_pb2.Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": used.input_tokens,
        "completion_tokens": used.output_tokens,
        "total_tokens": used.input_tokens + used.output_tokens,
        "prompt_tokens_details": {"cached_tokens": used.cached_input_tokens},
        "completion_tokens_details": {"reasoning_tokens": used.reasoning_output_tokens},
    }


def tool_call(call: content_pb2.ToolCallPart) -> dict[str, Any]:
    return {
        "id": call.call_id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments_json},
    }


def logprobs(tokens: Iterable[chat_pb2.TokenLogprob]) -> dict[str, Any] | None:
    told = [_logprob(token) | {"top_logprobs": [_logprob(each) for each in token.alternatives]} for token in tokens]
    return {"content": told, "refusal": None} if told else None


def _logprob(token: chat_pb2.TokenLogprob) -> dict[str, Any]:
    return {"token": token.token, "logprob": token.logprob, "bytes": list(token.token.encode())}


def _choice(candidate: chat_pb2.Candidate) -> dict[str, Any]:
    return {
        "index": candidate.index,
        "message": _message(candidate.message.parts),
        "logprobs": logprobs(candidate.logprobs),
        "finish_reason": FINISHES.get(candidate.finish_reason, "stop"),
    }


def _message(parts: Iterable[content_pb2.Part]) -> dict[str, Any]:
    words: dict[str, list[str]] = {"text": [], "refusal": [], "reasoning": []}
    calls = []
    for part in parts:
        kind = part.WhichOneof("kind") or ""
        if kind in words:
            words[kind].append(getattr(part, kind).text)
        elif kind == "tool_call":
            calls.append(tool_call(part.tool_call))
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(words["text"]) if words["text"] else None,
        "refusal": "".join(words["refusal"]) or None,
    }
    if reasoning := "".join(words["reasoning"]):
        message["reasoning_content"] = reasoning
    return message | ({"tool_calls": calls} if calls else {})
