"""How servers of the chat-completions dialect say what went wrong: one dialect, many shapes of an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from tests.providers.conformance.play import Trouble
from trunkline_server.core.failure import FailureKind

Troubles: TypeAlias = Mapping[FailureKind, Trouble]

OPENAI: Final[Troubles] = {
    FailureKind.AUTH: Trouble(401, {"error": {"message": "Incorrect", "code": "invalid_api_key"}}),
    FailureKind.QUOTA: Trouble(429, {"error": {"message": "no", "code": "insufficient_quota"}}),
    FailureKind.THROTTLED: Trouble(
        429, {"error": {"message": "slow", "code": "rate_limit_exceeded"}}, {"retry-after": "3"}, 3.0
    ),
    FailureKind.INVALID: Trouble(400, {"error": {"message": "bad", "type": "invalid_request_error"}}),
    FailureKind.MODEL_UNKNOWN: Trouble(404, {"error": {"message": "none", "code": "model_not_found"}}),
    FailureKind.CONTEXT_TOO_LONG: Trouble(400, {"error": {"message": "x", "code": "context_length_exceeded"}}),
    FailureKind.TRANSIENT: Trouble(500, {"error": {"message": "oops", "type": "server_error"}}),
}

MISTRAL: Final[Troubles] = {
    FailureKind.AUTH: Trouble(401, {"detail": "Invalid API Key"}),
    FailureKind.QUOTA: Trouble(402, {"message": "payment required"}),
    FailureKind.THROTTLED: Trouble(429, {"message": "Requests rate limit exceeded"}),
    FailureKind.INVALID: Trouble(422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "user"]}]}),
    FailureKind.MODEL_UNKNOWN: Trouble(400, {"object": "error", "type": "invalid_model", "code": "1500"}),
    FailureKind.CONTEXT_TOO_LONG: Trouble(
        400, {"object": "error", "message": "too large for a model with 32768 maximum context length"}
    ),
    FailureKind.TRANSIENT: Trouble(503, {"object": "error", "message": "Service unavailable.", "type": "internal"}),
}

GROQ: Final[Troubles] = {
    **OPENAI,
    FailureKind.THROTTLED: Trouble(
        429,
        {"error": {"message": "Please try again in 2.5s.", "type": "tokens", "code": "rate_limit_exceeded"}},
        wait_s=2.5,
    ),
}

XAI: Final[Troubles] = {
    FailureKind.AUTH: Trouble(400, {"code": "invalid-argument", "error": "Incorrect API key provided."}),
    FailureKind.QUOTA: Trouble(429, {"code": "x", "error": "your team has used all available credits"}),
    FailureKind.THROTTLED: Trouble(429, {"code": "x", "error": "Too many requests"}, {"retry-after": "3"}, 3.0),
    FailureKind.INVALID: Trouble(400, {"code": "invalid-argument", "error": "Argument not supported: stop"}),
    FailureKind.MODEL_UNKNOWN: Trouble(400, {"code": "x", "error": "Model not found: grok-9"}),
    FailureKind.CONTEXT_TOO_LONG: Trouble(400, {"code": "x", "error": "This model's maximum prompt length is 9"}),
    FailureKind.TRANSIENT: Trouble(500, {"code": "x", "error": "internal"}),
}

HUGGINGFACE: Final[Troubles] = {
    FailureKind.AUTH: Trouble(401, {"error": "Invalid username or password."}),
    FailureKind.QUOTA: Trouble(402, {"error": "You have exceeded your monthly included credits"}),
    FailureKind.THROTTLED: Trouble(429, {"error": "Too many requests"}),
    FailureKind.INVALID: Trouble(422, b"Failed to deserialize the JSON body into the target type"),
    FailureKind.MODEL_UNKNOWN: Trouble(400, {"error": {"message": "none", "code": "model_not_found"}}),
    FailureKind.CONTEXT_TOO_LONG: Trouble(422, {"error": ["prompt too long"]}),
    FailureKind.TRANSIENT: Trouble(500, {"error": "Internal Server Error", "warnings": []}),
}

OPENROUTER: Final[Troubles] = {
    FailureKind.AUTH: Trouble(401, {"error": {"message": "No cookie auth credentials found", "code": 401}}),
    FailureKind.QUOTA: Trouble(402, {"error": {"message": "requires more credits", "code": 402}}),
    FailureKind.THROTTLED: Trouble(429, {"error": {"message": "Provider returned error", "code": 429}}),
    FailureKind.INVALID: Trouble(400, {"error": {"message": "Input required", "code": 400}}),
    FailureKind.MODEL_UNKNOWN: Trouble(400, {"error": {"message": "x/y is not a valid model ID", "code": 400}}),
    FailureKind.CONTEXT_TOO_LONG: Trouble(
        400, {"error": {"message": "This endpoint's maximum context length is 9 tokens.", "code": 400}}
    ),
    FailureKind.TRANSIENT: Trouble(502, {"error": {"message": "Bad gateway", "code": 502}}),
}

OLLAMA_COMPATIBLE: Final[Troubles] = {
    **OPENAI,
    FailureKind.AUTH: Trouble(401, {"error": {"message": "Unauthorized", "type": "authentication_error"}}),
    FailureKind.MODEL_UNKNOWN: Trouble(404, {"error": {"message": "model 'm' not found", "code": None}}),
    FailureKind.CONTEXT_TOO_LONG: Trouble(
        400, {"error": {"message": "prompt too long; exceeded max context length by 9 tokens", "code": None}}
    ),
}

OLLAMA: Final[Troubles] = {
    FailureKind.AUTH: Trouble(401, {"error": "unauthorized", "signin_url": "https://ollama.com"}),
    FailureKind.QUOTA: Trouble(429, {"error": "you have reached your weekly usage limit"}),
    FailureKind.THROTTLED: Trouble(503, {"error": "server busy, please try again. maximum pending requests exceeded"}),
    FailureKind.INVALID: Trouble(400, {"error": '"m" does not support tools'}),
    FailureKind.MODEL_UNKNOWN: Trouble(404, {"error": "model 'm' not found"}),
    FailureKind.CONTEXT_TOO_LONG: Trouble(400, {"error": "the input length exceeds the context length"}),
    FailureKind.TRANSIENT: Trouble(500, {"error": "model runner has unexpectedly stopped"}),
}

COHERE: Final[Troubles] = {
    FailureKind.AUTH: Trouble(401, {"id": "1", "message": "invalid api token"}),
    FailureKind.QUOTA: Trouble(429, {"id": "1", "message": "a Trial key, which is limited to 1000 API calls / month."}),
    FailureKind.THROTTLED: Trouble(429, {"message": "limited to 20 API calls / minute."}, {"retry-after": "3"}, 3.0),
    FailureKind.INVALID: Trouble(400, {"id": "1", "message": "invalid request: message must not be empty in a turn"}),
    FailureKind.MODEL_UNKNOWN: Trouble(404, {"id": "1", "message": "model 'm' was removed on September 15, 2025."}),
    FailureKind.CONTEXT_TOO_LONG: Trouble(400, {"error_type": "TOO_MANY_TOKENS", "message": "too many tokens: 9"}),
    FailureKind.TRANSIENT: Trouble(500, {"id": "1", "message": "internal server error"}),
}
