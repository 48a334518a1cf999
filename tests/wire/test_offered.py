"""What lists of models say beside names, in every dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trunkline_server.core.offered import Offered
from trunkline_server.wire.anthropic import Anthropic
from trunkline_server.wire.cohere import Cohere
from trunkline_server.wire.dialect import Wire
from trunkline_server.wire.gemini import Gemini
from trunkline_server.wire.ollama import Ollama
from trunkline_server.wire.openai_chat import OpenAIChat


@pytest.mark.parametrize(
    ("wire", "body", "offered"),
    [
        (OpenAIChat(), {"data": [{"id": "a"}]}, Offered("a")),
        (
            OpenAIChat(),
            {"data": [{"id": "a", "context_window": 9, "max_completion_tokens": 3}]},
            Offered("a", "", 9, 3),
        ),
        (OpenAIChat(), {"data": [{"id": "a", "max_context_length": 9}]}, Offered("a", "", 9)),
        (OpenAIChat(), {"data": [{"id": "a", "max_model_len": 9}]}, Offered("a", "", 9)),
        (OpenAIChat(), {"data": [{"id": "a", "name": "A", "context_length": 1e300}]}, Offered("a", "A")),
        (OpenAIChat(), {"data": [{"id": "a", "top_provider": {"max_completion_tokens": 5}}]}, Offered("a", "", 0, 5)),
        (OpenAIChat(), {"data": [{"id": "a", "providers": [{}, {"context_length": 7}]}]}, Offered("a", "", 7)),
        (
            Anthropic(),
            {"data": [{"id": "a", "display_name": "A", "max_input_tokens": 9, "max_tokens": 3}]},
            Offered("a", "A", 9, 3),
        ),
        (
            Gemini(),
            {"models": [{"name": "models/a", "displayName": "A", "inputTokenLimit": 9, "outputTokenLimit": 3}]},
            Offered("a", "A", 9, 3),
        ),
        (Cohere(), {"models": [{"name": "a", "context_length": 9}]}, Offered("a", "", 9)),
        (Ollama(), {"models": [{"name": "a"}]}, Offered("a")),
    ],
)
def test_limits_are_read_where_the_list_has_them(wire: Wire, body: Any, offered: Offered) -> None:
    assert wire.decode_models(json.dumps(body).encode()) == [offered]
