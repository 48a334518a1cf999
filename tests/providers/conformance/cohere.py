"""The accent of Cohere's chat API, version 2. Questions to it look like those of chat completions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from tests.providers.conformance import troubles
from tests.providers.conformance.openai_chat import OpenAI
from tests.providers.conformance.play import USAGE, Call, Play
from trunkline.v1 import usage_pb2

Json = dict[str, Any]


class Cohere(OpenAI):
    """Named events with an end mark, usage as it is billed, and an error that is an end."""

    model = "command-a-03-2025"
    usage_told = usage_pb2.Usage(
        input_tokens=USAGE.input_tokens,
        output_tokens=USAGE.output_tokens,
        reasoning_output_tokens=USAGE.reasoning_output_tokens,
        source=usage_pb2.USAGE_SOURCE_PROVIDER,
    )
    troubles = troubles.COHERE

    def whole(self, play: Play) -> object:
        message: Json = {"role": "assistant"}
        if play.words:
            message["content"] = [{"type": "text", "text": play.text}]
        if play.call:
            message["tool_calls"] = [self._call(play.call.name, play.call.arguments)]
        return {"id": "c-1", "message": message, **_end(play)}

    def opening(self) -> bytes:
        return _event("message-start", {"role": "assistant", "content": [], "tool_calls": []}, id="c-1")

    def word(self, word: str) -> bytes:
        start = _event("content-start", {"content": {"type": "text", "text": ""}}, index=0)
        delta = _event("content-delta", {"content": {"text": word}}, index=0)
        return delta if word.startswith(" ") else start + delta

    def calling(self, play: Play) -> list[bytes]:
        call = play.call or Call("", ())
        start = _event("tool-call-start", {"tool_calls": self._call(call.name, "")}, index=0)
        grown = [{"tool_calls": {"function": {"arguments": each}}} for each in call.fragments]
        deltas = [_event("tool-call-delta", each, index=0) for each in grown]
        return [_event("tool-plan-delta", {"tool_plan": "Look."}), start, *deltas, _event("tool-call-end", index=0)]

    def ending(self, play: Play) -> bytes:
        return _event("message-end", delta=_end(play)) + b"data: [DONE]\n\n"

    def error_event(self) -> bytes:
        return _event("message-end", delta={"finish_reason": "ERROR", "usage": {}, "error": "secret"})

    def models(self, names: Sequence[str]) -> object:
        return {"models": [{"name": name, "endpoints": ["chat"]} for name in names]}


_USAGE: Final[Json] = {
    "billed_units": {"input_tokens": USAGE.input_tokens, "output_tokens": USAGE.output_tokens},
    "tokens": {"input_tokens": 500, "output_tokens": 9, "reasoning_tokens": USAGE.reasoning_output_tokens},
    "cached_tokens": 448,
}


def _end(play: Play) -> Json:
    return {"finish_reason": "TOOL_CALL" if play.call else "COMPLETE", "usage": _USAGE}


def _event(kind: str, message: Json | None = None, **more: object) -> bytes:
    data = {"type": kind, **more, **({} if message is None else {"delta": {"message": message}})}
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()
