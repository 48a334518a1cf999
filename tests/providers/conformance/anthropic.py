"""The accent of the Messages API."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.providers.conformance.accent import Accent, Link
from tests.providers.conformance.play import USAGE, Call, Play, Trouble
from trunkline_server.core.failure import FailureKind

Json = dict[str, Any]


class Anthropic(Accent):
    """Named events, blocks, and input that leaves out what was cached."""

    model = "claude-sonnet-4-5"
    error_kind = FailureKind.THROTTLED

    def whole(self, play: Play) -> object:
        content: list[Json] = [{"type": "text", "text": play.text}] if play.words else []
        if play.call:
            content.append(_call(play.call, json.loads(play.call.arguments)))
        return {**self._message(), "content": content, "stop_reason": _reason(play), "usage": _USAGE}

    def opening(self) -> bytes:
        message = {**self._message(), "content": [], "usage": {**_USAGE, "output_tokens": 1}}
        return _event("message_start", message=message) + _event("ping")

    def word(self, word: str) -> bytes:
        start = _event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        delta = _event("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
        return delta if word.startswith(" ") else start + delta

    def calling(self, play: Play) -> list[bytes]:
        call = play.call or Call("", ())
        start = _event("content_block_start", index=0, content_block=_call(call, {}))
        deltas = [{"type": "input_json_delta", "partial_json": each} for each in ("", *call.fragments)]
        return [start, *(_event("content_block_delta", index=0, delta=delta) for delta in deltas)]

    def ending(self, play: Play) -> bytes:
        delta = {"stop_reason": _reason(play), "stop_sequence": None}
        stop = _event("content_block_stop", index=0)
        return stop + _event("message_delta", delta=delta, usage=_USAGE) + _event("message_stop")

    def error_event(self) -> bytes:
        return _event("error", error={"type": "overloaded_error", "message": "secret"})

    def trouble(self, kind: FailureKind) -> Trouble:
        return _TROUBLES[kind]

    def models(self, names: Sequence[str]) -> object:
        return {"data": [{"type": "model", "id": name} for name in names], "has_more": False}

    def count(self, tokens: int) -> object:
        return {"input_tokens": tokens}

    def key(self, headers: Mapping[str, str]) -> str:
        return headers["x-api-key"]

    def model_of(self, path: str, body: Any) -> str:
        return str(body["model"])

    def text_of(self, body: Any) -> str:
        content = body["messages"][0]["content"]
        return str(content if isinstance(content, str) else content[0]["text"])

    def tools_of(self, body: Any) -> list[str]:
        return [tool["name"] for tool in body["tools"]]

    def link_of(self, body: Any) -> Link:
        _, said, told = body["messages"]
        result = told["content"][0]
        return Link(said["content"][0]["id"], result["tool_use_id"], json.dumps(result["content"]))

    def _message(self) -> Json:
        return {"id": "msg_1", "type": "message", "role": "assistant", "model": self.model}


_USAGE: Final[Json] = {
    "input_tokens": USAGE.input_tokens - USAGE.cached_input_tokens,
    "cache_read_input_tokens": USAGE.cached_input_tokens,
    "output_tokens": USAGE.output_tokens,
    "output_tokens_details": {"thinking_tokens": USAGE.reasoning_output_tokens},
}


def _trouble(status: int, type_: str, message: str = "secret", wait_s: float | None = None) -> Trouble:
    headers = {"retry-after": str(wait_s)} if wait_s else {}
    return Trouble(status, {"type": "error", "error": {"type": type_, "message": message}}, headers, wait_s)


_TROUBLES: Final[Mapping[FailureKind, Trouble]] = {
    FailureKind.AUTH: _trouble(401, "authentication_error"),
    FailureKind.QUOTA: _trouble(400, "invalid_request_error", "Your credit balance is too low"),
    FailureKind.THROTTLED: _trouble(429, "rate_limit_error", wait_s=3.0),
    FailureKind.INVALID: _trouble(400, "invalid_request_error"),
    FailureKind.MODEL_UNKNOWN: _trouble(404, "not_found_error", "model: claude-9"),
    FailureKind.CONTEXT_TOO_LONG: _trouble(400, "invalid_request_error", "prompt is too long: 9 tokens > 8 maximum"),
    FailureKind.TRANSIENT: _trouble(500, "api_error"),
}


def _call(call: Call, arguments: object) -> Json:
    return {"type": "tool_use", "id": "toolu_1", "name": call.name, "input": arguments}


def _event(name: str, **fields: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n".encode()


def _reason(play: Play) -> str:
    return "tool_use" if play.call else "end_turn"
