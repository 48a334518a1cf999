"""Whoever throttles says for how long, each provider in its own way: the failure of each dialect knows it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import pytest

from trunkline_server.core.failure import FailureKind
from trunkline_server.providers import builtin

PROVIDERS = {found.name: found for found in builtin.declarations()}
HOUR_S = 3600.0
IN_AN_HOUR_MS = str(int((time.time() + HOUR_S) * 1000))
BEHIND = {"X-RateLimit-Limit": "20", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": IN_AN_HOUR_MS}
IN_A_DAY_S = 86_400
ERRORS: Mapping[str, tuple[Mapping[str, str], Any, float]] = {
    "openai": ({}, {"error": {"message": "Please try again in 3.89s.", "code": "rate_limit_exceeded"}}, 3.89),
    "groq": ({"x-ratelimit-reset-tokens": "2m59.56s"}, {"error": {"message": "slow", "type": "tokens"}}, 179.56),
    "mistral": ({"retry-after": "7"}, {"message": "Requests rate limit exceeded", "code": "1300"}, 7.0),
    "xai": ({}, {"code": "resource-exhausted", "error": "Too many requests. Try again in 2s."}, 2.0),
    "openrouter": ({}, {"error": {"message": "slow", "code": 429, "metadata": {"headers": BEHIND}}}, HOUR_S),
    "huggingface": ({"x-ratelimit-reset": "12"}, {"error": "Too many requests"}, 12.0),
    "cohere": ({}, {"message": "rate limit, try again in 5 seconds"}, 5.0),
    "ollama": ({"retry-after": "3"}, {"error": "server busy"}, 3.0),
    "anthropic": (
        {"anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": "2999-01-01T00:00:00Z"},
        {"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}},
        IN_A_DAY_S,
    ),
    "gemini": (
        {},
        {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [{"retryDelay": "48s"}]}},
        48.0,
    ),
    "elevenlabs": ({"retry-after": "4"}, {"detail": {"status": "too_many_concurrent_requests"}}, 4.0),
    "stability": ({"retry-after": "60"}, {"name": "rate_limit_exceeded"}, 60.0),
    "fal": ({"retry-after": "1.5"}, {"detail": "Too many requests"}, 1.5),
}


def test_every_provider_is_looked_at() -> None:
    assert set(ERRORS) == set(PROVIDERS)


@pytest.mark.parametrize("name", ERRORS)
def test_how_long(name: str) -> None:
    headers, body, wait_s = ERRORS[name]
    failure = PROVIDERS[name].wire.failure(429, headers, json.dumps(body).encode())
    assert failure.kind is FailureKind.THROTTLED
    assert failure.retry_after_s is not None
    assert wait_s / 2 < failure.retry_after_s <= wait_s
