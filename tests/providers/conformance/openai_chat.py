"""Accents of the chat-completions dialect: OpenAI's own, and what others make of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.providers.conformance import troubles
from tests.providers.conformance.accent import Accent, Link, spelled
from tests.providers.conformance.play import USAGE, Call, Play, Trouble
from trunkline_server.core.failure import FailureKind

Json = dict[str, Any]


class OpenAI(Accent):
    """As OpenAI speaks: usage in a chunk without a choice, arguments in fragments."""

    prefix = b"data: "
    call_id = "call_1"
    troubles = troubles.OPENAI

    def whole(self, play: Play) -> object:
        message: Json = {"role": "assistant", "content": play.text or None}
        if play.call:
            message["tool_calls"] = [self._call(play.call.name, play.call.arguments)]
        choices = [{"index": 0, "message": message, "finish_reason": _reason(play)}]
        return {"id": "chatcmpl-1", "model": self.model, "choices": choices, "usage": self.usage()}

    def opening(self) -> bytes:
        return self._delta({"role": "assistant", "content": ""})

    def word(self, word: str) -> bytes:
        return self._delta({"content": word})

    def calling(self, play: Play) -> list[bytes]:
        call = play.call or Call("", ())
        begun = [{"index": 0, **self._call(call.name, "")}]
        grown = [[{"index": 0, "function": {"arguments": each}}] for each in call.fragments]
        return [self._delta({"tool_calls": fragment}) for fragment in (begun, *grown)]

    def ending(self, play: Play) -> bytes:
        return self._finish(play) + self.chunk([], usage=self.usage()) + b"data: [DONE]\n\n"

    def error_event(self) -> bytes:
        return self._event({"error": {"message": "secret", "type": "server_error", "code": None}})

    def trouble(self, kind: FailureKind) -> Trouble:
        return self.troubles[kind]

    def models(self, names: Sequence[str]) -> object:
        return {"object": "list", "data": [{"id": name, "object": "model"} for name in names]}

    def key(self, headers: Mapping[str, str]) -> str:
        return headers["authorization"].removeprefix("Bearer ")

    def model_of(self, path: str, body: Any) -> str:
        return str(body["model"])

    def text_of(self, body: Any) -> str:
        return str(body["messages"][0]["content"])

    def tools_of(self, body: Any) -> list[str]:
        return [tool["function"]["name"] for tool in body["tools"]]

    def link_of(self, body: Any) -> Link:
        _, said, result = body["messages"]
        return Link(said["tool_calls"][0]["id"], result["tool_call_id"], result["content"])

    def usage(self) -> Json:
        return {
            "prompt_tokens": USAGE.input_tokens,
            "completion_tokens": USAGE.output_tokens,
            "prompt_tokens_details": {"cached_tokens": USAGE.cached_input_tokens},
            "completion_tokens_details": {"reasoning_tokens": USAGE.reasoning_output_tokens},
        }

    def chunk(self, choices: list[Json], **more: object) -> bytes:
        return self._event({"id": "chatcmpl-1", "model": self.model, "choices": choices, **more})

    def _delta(self, delta: Json) -> bytes:
        return self.chunk([{"index": 0, "delta": delta, "finish_reason": None}])

    def _finish(self, play: Play, **more: object) -> bytes:
        return self.chunk([{"index": 0, "delta": {}, "finish_reason": _reason(play)}], **more)

    def _call(self, name: str, arguments: str) -> Json:
        return {"id": self.call_id, "type": "function", "function": {"name": name, "arguments": arguments}}

    def _event(self, event: Json) -> bytes:
        return self.prefix + json.dumps(event).encode() + b"\n\n"


class Azure(OpenAI):
    """The first chunk is about filters, and the key has a header of its own."""

    def opening(self) -> bytes:
        return self.chunk([], prompt_filter_results=[{"prompt_index": 0}]) + super().opening()

    def key(self, headers: Mapping[str, str]) -> str:
        return headers["api-key"]


class WholeCalls(OpenAI):
    """Tool calls arrive in one delta."""

    def calling(self, play: Play) -> list[bytes]:
        call = play.call or Call("", ())
        return [self._delta({"tool_calls": [{"index": 0, **self._call(call.name, call.arguments)}]})]


class Mistral(WholeCalls):
    """Usage stands in the last chunk with a choice; errors have shapes of their own."""

    call_id = "qDEcl0n92"
    troubles = troubles.MISTRAL

    def ending(self, play: Play) -> bytes:
        return self._finish(play, usage=self.usage()) + b"data: [DONE]\n\n"


class Groq(WholeCalls):
    """Usage comes twice, a failure as a named event, and the wait stands in the text."""

    error_kind = FailureKind.BROKEN
    troubles = troubles.GROQ

    def ending(self, play: Play) -> bytes:
        finish = self._finish(play, x_groq={"id": "req_1", "usage": self.usage()})
        return finish + self.chunk([], usage=self.usage()) + b"data: [DONE]\n\n"

    def error_event(self) -> bytes:
        error = {"message": "secret", "code": "tool_use_failed", "status_code": 400}
        return b"event: error\n" + self._event({"error": error})


class XAI(OpenAI):
    """Thoughts are counted beside the completion; errors are flat, and a bad key is a 400."""

    troubles = troubles.XAI

    def usage(self) -> Json:
        spoken = USAGE.output_tokens - USAGE.reasoning_output_tokens
        return {**super().usage(), "completion_tokens": spoken}


class HuggingFace(OpenAI):
    """No space after `data:`, no end mark, and errors that are texts."""

    error_kind = FailureKind.THROTTLED
    prefix = b"data:"
    troubles = troubles.HUGGINGFACE

    def ending(self, play: Play) -> bytes:
        return self._finish(play, usage=self.usage())

    def error_event(self) -> bytes:
        return self._event({"error": "secret", "error_type": "overloaded"})


class OpenRouter(OpenAI):
    """Keeps connections alive with comments and blanks, says the end twice, and its codes are numbers."""

    troubles = troubles.OPENROUTER

    def whole(self, play: Play) -> object:
        return b"\n         \n" * 9 + spelled(super().whole(play))

    def opening(self) -> bytes:
        return b": OPENROUTER PROCESSING\n\n" * 3 + super().opening()

    def ending(self, play: Play) -> bytes:
        return self._finish(play) + self._finish(play, usage=self.usage()) + b"data: [DONE]\n\n"

    def error_event(self) -> bytes:
        return self.chunk([], error={"message": "secret", "code": 502})


class OllamaCompatible(WholeCalls):
    """A missing model is a 404 that names no code."""

    troubles = troubles.OLLAMA_COMPATIBLE


def _reason(play: Play) -> str:
    return "tool_calls" if play.call else "stop"
