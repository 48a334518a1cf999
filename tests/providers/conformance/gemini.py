"""The accent of generateContent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.providers.conformance.accent import Accent, Link
from tests.providers.conformance.play import USAGE, Play, Trouble
from trunkline_server.core.failure import FailureKind

Json = dict[str, Any]


class Gemini(Accent):
    """Chunks of one shape, whole tool calls, thoughts counted beside the candidates, and no word for tool calls."""

    model = "gemini-2.5-flash"

    def whole(self, play: Play) -> object:
        parts = [{"text": play.text}] if play.words else [_call(play)]
        return {**self._chunk(parts, "STOP"), "usageMetadata": _USAGE}

    def opening(self) -> bytes:
        return _event({"responseId": "r1", "modelVersion": self.model})

    def word(self, word: str) -> bytes:
        return _event(self._chunk([{"text": word}]))

    def calling(self, play: Play) -> list[bytes]:
        return [_event(self._chunk([_call(play)]))]

    def ending(self, play: Play) -> bytes:
        return _event({**self._chunk([{"text": ""}], "STOP"), "usageMetadata": _USAGE})

    def error_event(self) -> bytes:
        return _event({"error": {"code": 500, "message": "secret", "status": "INTERNAL"}})

    def trouble(self, kind: FailureKind) -> Trouble:
        return _TROUBLES[kind]

    def models(self, names: Sequence[str]) -> object:
        return {"models": [{"name": f"models/{name}"} for name in names]}

    def count(self, tokens: int) -> object:
        return {"totalTokens": tokens}

    def key(self, headers: Mapping[str, str]) -> str:
        return headers["x-goog-api-key"]

    def model_of(self, path: str, body: Any) -> str:
        return path.rpartition("/")[2].partition(":")[0]

    def text_of(self, body: Any) -> str:
        return str(body["contents"][0]["parts"][0]["text"])

    def tools_of(self, body: Any) -> list[str]:
        return [function["name"] for tool in body["tools"] for function in tool["functionDeclarations"]]

    def link_of(self, body: Any) -> Link:
        _, said, told = body["contents"]
        result = told["parts"][0]["functionResponse"]
        return Link(said["parts"][0]["functionCall"]["name"], result["name"], json.dumps(result["response"]))

    def _chunk(self, parts: list[Json], reason: str = "") -> Json:
        candidate: Json = {"content": {"role": "model", "parts": parts}}
        if reason:
            candidate["finishReason"] = reason
        return {"candidates": [candidate], "responseId": "r1", "modelVersion": self.model}


_USAGE: Final[Json] = {
    "promptTokenCount": USAGE.input_tokens,
    "cachedContentTokenCount": USAGE.cached_input_tokens,
    "candidatesTokenCount": USAGE.output_tokens - USAGE.reasoning_output_tokens,
    "thoughtsTokenCount": USAGE.reasoning_output_tokens,
}


def _trouble(code: int, status: str, message: str = "secret", *details: Json, wait_s: float | None = None) -> Trouble:
    error = {"code": code, "status": status, "message": message, "details": list(details)}
    return Trouble(code, {"error": error}, {}, wait_s)


_TROUBLES: Final[Mapping[FailureKind, Trouble]] = {
    FailureKind.AUTH: _trouble(400, "INVALID_ARGUMENT", "API key not valid.", {"reason": "API_KEY_INVALID"}),
    FailureKind.QUOTA: _trouble(429, "RESOURCE_EXHAUSTED", "x", {"violations": [{"quotaId": "RequestsPerDay"}]}),
    FailureKind.THROTTLED: _trouble(429, "RESOURCE_EXHAUSTED", "x", {"retryDelay": "3s"}, wait_s=3.0),
    FailureKind.INVALID: _trouble(400, "INVALID_ARGUMENT"),
    FailureKind.MODEL_UNKNOWN: _trouble(404, "NOT_FOUND", "models/gemini-9 is not found for API version v1beta"),
    FailureKind.CONTEXT_TOO_LONG: _trouble(
        400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens allowed (8)."
    ),
    FailureKind.TRANSIENT: _trouble(500, "INTERNAL"),
}


def _call(play: Play) -> Json:
    assert play.call
    return {"functionCall": {"name": play.call.name, "args": json.loads(play.call.arguments)}}


def _event(data: Json) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\r\n\r\n"
