"""Which of its two dialects OpenAI is asked in."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from google.protobuf import json_format

from trunkline.v1 import chat_pb2, models_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.ask import Ask
from trunkline_server.core.failure import FailureKind
from trunkline_server.wire.dialect import Wire
from trunkline_server.wire.openai import OpenAI
from trunkline_server.wire.openai_chat.decode import BodyDecoder as ChatDecoder
from trunkline_server.wire.openai_responses.decode import BodyDecoder as ResponsesDecoder

WIRE = OpenAI()
DATA = base64.b64encode(b"bytes").decode()
ITEM = base64.b64encode(b'{"type":"web_search_call","id":"ws_1"}').decode()
STATE = {"providerState": {"provider": "openai", "data": ITEM}}
THEIRS = {"providerState": {"provider": "anthropic", "data": DATA}}
FUNCTION = {"tools": [{"function": {"name": "a"}}]}
HOSTED = {"tools": [{"hosted": {"provider": "openai", "type": "web_search"}}]}
STOPS = {"sampling": {"stopSequences": ["x"]}}
SHOWN = {"reasoning": {"includeText": True}}


def saying(*parts: dict[str, Any], role: str = "ROLE_USER", **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": role, "parts": list(parts)}], **more}


def recalling(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return saying(*parts, role="ROLE_ASSISTANT", **more)


def asking(question: dict[str, Any], model: str = "gpt-4o") -> Ask:
    whole = {**saying({"text": {"text": "Hi"}}), **question}
    return Ask("openai", model, json_format.ParseDict(whole, chat_pb2.ChatInput()), stream=False)


def path(question: dict[str, Any], model: str = "gpt-4o") -> str:
    return WIRE.encode_chat(asking(question, model)).path


CALL = {"callId": "c", "name": "n"}
SOUND = {"audio": {"blob": {"data": DATA, "mediaType": "audio/wav"}}}


@pytest.mark.parametrize(
    ("model", "question"),
    [
        *((model, {}) for model in ("o1-pro", "gpt-5-pro-2025-10-06", "codex-mini-latest", "gpt-5.1-codex-max")),
        *((model, {}) for model in ("o4-mini-deep-research-2025-06-26", "computer-use-preview", "gpt-5.6-sol-pro")),
        ("gpt-5.4", FUNCTION),
        ("gpt-5.10", FUNCTION),
        ("gpt-6-astra", FUNCTION),
        ("gpt-4o", HOSTED),
        ("gpt-4o", {**HOSTED, **STOPS}),
        ("gpt-5", SHOWN),
        ("gpt-4o", saying({"image": {"blob": {"fileId": "file-1"}}})),
        ("gpt-4o", saying({"document": {"blob": {"uri": "https://a.example/a.pdf"}}})),
        ("gpt-5", recalling({"reasoning": {"redacted": True}, **STATE})),
        ("gpt-5", recalling({"toolCall": {**CALL, "executor": "TOOL_EXECUTOR_PROVIDER"}, **STATE})),
        ("gpt-5", recalling({"opaque": {"provider": "openai", "type": "compaction", "json": "{}"}})),
    ],
)
def test_questions_that_need_responses(model: str, question: dict[str, Any]) -> None:
    assert path(question, model) == "/responses"


@pytest.mark.parametrize(
    ("model", "question"),
    [
        *((model, {}) for model in ("gpt-4o", "gpt-5", "gpt-5.6-terra", "o3", "gpt-5-search-api", "ft:gpt-4.1:prod")),
        ("gpt-4o", FUNCTION),
        ("gpt-5", FUNCTION),
        ("gpt-5.4", {**FUNCTION, "reasoning": {"effort": "REASONING_EFFORT_NONE"}}),
        ("gpt-4o", {"tools": [{"hosted": {"provider": "anthropic", "type": "web_search"}}]}),
        ("gpt-4o", SHOWN),
        ("gpt-5", {**SHOWN, **STOPS}),
        ("gpt-5", {**SHOWN, "sampling": {"candidateCount": 2}}),
        ("gpt-4o", saying({"image": {"blob": {"uri": "https://a.example/a.png"}}})),
        ("gpt-4o", saying({"document": {"blob": {"data": DATA}}})),
        ("gpt-5", recalling({"reasoning": {"text": "Hm"}, **THEIRS})),
        ("gpt-5", recalling({"toolCall": CALL, **STATE})),
        ("gpt-4o-audio", saying(SOUND, {"image": {"blob": {"uri": "https://a.example/a.png"}}})),
    ],
)
def test_questions_that_do_not(model: str, question: dict[str, Any]) -> None:
    assert path(question, model) == "/chat/completions"


def test_an_answer_is_read_as_its_question_was_asked() -> None:
    for model, decoder in (("gpt-4o", ChatDecoder), ("o3-pro", ResponsesDecoder)):
        answer = Answer(streaming=False)
        assert isinstance(WIRE.decode_chat(asking({}, model), answer, "application/json"), decoder)


def test_counting() -> None:
    request = WIRE.encode_count(asking({}))
    assert request is not None
    assert json.loads(request.body)["input"] == [{"role": "user", "content": "Hi"}]
    assert WIRE.decode_count(b'{"input_tokens": 3}') == 3
    assert WIRE.encode_count(asking(saying(SOUND))) is None


def test_the_rest_is_the_same_in_both() -> None:
    assert isinstance(WIRE, Wire)
    assert {models_pb2.CAPABILITY_AUDIO_INPUT, models_pb2.CAPABILITY_COUNT_TOKENS} <= WIRE.capabilities
    assert (WIRE.delta_is_token, WIRE.needs_cap) == (True, False)
    assert WIRE.encode_models().path == "/models"
    assert [each.name for each in WIRE.decode_models(b'{"data": [{"id": "a"}]}')] == ["a"]
    assert WIRE.failure(401, {}, b"").kind is FailureKind.AUTH
