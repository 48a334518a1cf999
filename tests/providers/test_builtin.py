"""What goes out to each provider where it differs from the others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.docs.page import bare, page, tables
from trunkline.v1 import chat_pb2, content_pb2, models_pb2
from trunkline_server import config
from trunkline_server.core.ask import Ask
from trunkline_server.providers.builtin import NAMES, declaration, declarations

CALL_ID = "call_0192f7a3b6c84f1e9d2c5b7a8e4f6013"
ADDRESSES = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
    "gemini": "https://generativelanguage.googleapis.com",
    "mistral": "https://api.mistral.ai/v1",
    "cohere": "https://api.cohere.com",
    "groq": "https://api.groq.com/openai/v1",
    "xai": "https://api.x.ai/v1",
    "huggingface": "https://router.huggingface.co",
    "ollama": "http://localhost:11434",
    "stability": "https://api.stability.ai",
    "fal": "https://queue.fal.run",
    "elevenlabs": "https://api.elevenlabs.io/v1",
    "openrouter": "https://openrouter.ai/api/v1",
}


def question(**fields: Any) -> chat_pb2.ChatInput:
    asked = chat_pb2.ChatInput(**fields)
    asked.messages.add(role=content_pb2.ROLE_USER, name="Eve").parts.add().text.text = "Hello"
    return asked


def sent(name: str, asked: chat_pb2.ChatInput) -> tuple[Any, list[str]]:
    """The body, and the fields that were dropped."""
    ask = Ask(name, "m", asked, stream=True, max_output_tokens=9, end_user="u1")
    body = json.loads(declaration(name).wire.encode_chat(ask).body)
    return body, [warning.field for warning in ask.warnings]


def test_every_module_declares_the_provider_of_its_name() -> None:
    assert {each.name: each.base_url for each in declarations()} == ADDRESSES
    assert tuple(each.name for each in declarations()) == NAMES


def test_a_router_comes_last_and_the_makers_of_models_first() -> None:
    assert (NAMES[:3], NAMES[-1]) == (("openai", "anthropic", "gemini"), "openrouter")


@pytest.mark.parametrize("name", NAMES)
def test_the_environment_says_key_and_address(name: str) -> None:
    given = {f"{name.upper()}_API_KEY": "k", f"{name.upper()}_BASE_URL": "https://elsewhere.example"}

    settings = config.load(given).provider_settings[name]

    assert (settings.api_key, settings.base_url) == ("k", "https://elsewhere.example")


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("openai", "max_completion_tokens"),
        ("mistral", "max_tokens"),
        ("groq", "max_completion_tokens"),
        ("xai", "max_completion_tokens"),
        ("huggingface", "max_tokens"),
        ("cohere", "max_tokens"),
        ("openrouter", "max_tokens"),
    ],
)
def test_the_cap_has_the_name_that_the_provider_knows(name: str, field: str) -> None:
    assert sent(name, question())[0][field] == 9


@pytest.mark.parametrize("name", ["mistral", "cohere", "groq", "huggingface", "ollama"])
def test_who_takes_no_names_of_speakers_is_told_none(name: str) -> None:
    body, dropped = sent(name, question())

    assert body["messages"] == [{"role": "user", "content": "Hello"}]
    assert dropped == ["input.messages[0].name"]


@pytest.mark.parametrize("name", ["mistral", "cohere", "huggingface", "ollama"])
def test_who_knows_no_end_users_is_told_none(name: str) -> None:
    assert "user" not in sent(name, question())[0]


@pytest.mark.parametrize("name", ["groq", "mistral"])
def test_who_refuses_probabilities_is_not_asked_for_them(name: str) -> None:
    body, dropped = sent(name, question(sampling=chat_pb2.Sampling(top_logprobs=3)))

    assert not {"logprobs", "top_logprobs"} & set(body)
    assert "input.sampling.top_logprobs" in dropped


def test_groq_is_asked_for_one_answer() -> None:
    body, dropped = sent("groq", question(sampling=chat_pb2.Sampling(candidate_count=2, seed=7)))

    assert ("n" in body, body["seed"]) == (False, 7)
    assert "input.sampling.candidate_count" in dropped


def test_mistral_has_its_own_words() -> None:
    choice = content_pb2.ToolChoice(mode=content_pb2.TOOL_CHOICE_MODE_REQUIRED)
    tool = content_pb2.Tool(function=content_pb2.FunctionTool(name="weather"))

    body, _ = sent("mistral", question(sampling=chat_pb2.Sampling(seed=7), tools=[tool], tool_choice=choice))

    assert (body["random_seed"], body["tool_choice"]) == (7, "any")
    assert not {"seed", "stream_options"} & set(body)


@pytest.mark.parametrize(("call_id", "kept"), [(CALL_ID, False), ("qDEcl0n92", True), ("qDEcl0n9_", False)])
def test_mistral_gets_ids_of_nine_letters_and_digits(call_id: str, kept: bool) -> None:
    asked = question()
    asked.messages.add(role=content_pb2.ROLE_ASSISTANT).parts.add().tool_call.MergeFrom(
        content_pb2.ToolCallPart(call_id=call_id, name="weather")
    )
    asked.messages.add(role=content_pb2.ROLE_TOOL).parts.add().tool_result.call_id = call_id

    _, said, result = sent("mistral", asked)[0]["messages"]

    spelled = said["tool_calls"][0]["id"]
    assert spelled == result["tool_call_id"]
    assert len(spelled) == 9
    assert spelled.isalnum()
    assert (spelled == call_id) == kept


def test_different_ids_stay_different_for_mistral() -> None:
    asked = question()
    for index in range(50):
        call = asked.messages.add(role=content_pb2.ROLE_ASSISTANT).parts.add().tool_call
        call.MergeFrom(content_pb2.ToolCallPart(call_id=f"{CALL_ID}{index}", name="weather"))

    messages = sent("mistral", asked)[0]["messages"][1:]

    assert len({message["tool_calls"][0]["id"] for message in messages}) == 50


@pytest.mark.parametrize(
    ("name", "field"), [("groq", "reasoning"), ("xai", "reasoning_content"), ("openrouter", "reasoning")]
)
def test_thoughts_go_back_to_where_they_come_from(name: str, field: str) -> None:
    asked = question()
    asked.messages.add(role=content_pb2.ROLE_ASSISTANT).parts.add().reasoning.text = "Hm"

    assert sent(name, asked)[0]["messages"][1][field] == "Hm"


@pytest.mark.parametrize("name", ["mistral", "cohere", "groq", "xai", "huggingface", "ollama"])
def test_a_developer_speaks_as_the_system_where_that_role_is_unknown(name: str) -> None:
    asked = question()
    asked.messages[0].role = content_pb2.ROLE_DEVELOPER

    assert sent(name, asked)[0]["messages"][0]["role"] == "system"


def test_openrouter_marks_what_to_cache() -> None:
    asked = question()
    asked.messages[0].parts[0].cache_hint.SetInParent()

    (block,) = sent("openrouter", asked)[0]["messages"][0]["content"]

    assert block["cache_control"] == {"type": "ephemeral"}


@pytest.mark.parametrize(
    ("name", "path"), [("ollama", "/api/tags"), ("openrouter", "/models/user"), ("groq", "/models")]
)
def test_where_the_models_are_listed(name: str, path: str) -> None:
    assert declaration(name).wire.encode_models().path == path


def test_ollama_is_asked_in_its_own_dialect() -> None:
    ask = Ask("ollama", "m", question(), stream=False, max_output_tokens=9)
    request = declaration("ollama").wire.encode_chat(ask)

    assert (request.path, json.loads(request.body)["options"]) == ("/api/chat", {"num_predict": 9})


@pytest.mark.parametrize("name", ["mistral", "groq", "xai", "huggingface", "ollama"])
def test_who_takes_no_files_does_not_say_so(name: str) -> None:
    files = {models_pb2.CAPABILITY_AUDIO_INPUT, models_pb2.CAPABILITY_DOCUMENT_INPUT}

    assert not files & declaration(name).wire.capabilities


def test_the_documentation_knows_each_of_them() -> None:
    rows = {bare(row[0]): row for row in tables(page("providers.md"), "provider")}

    assert tuple(rows) == NAMES
    assert {name: bare(row[2]) for name, row in rows.items()} == ADDRESSES
    assert {name: bare(row[3]) for name, row in rows.items()} == {each.name: each.wire.name for each in declarations()}
    assert all(f"`{name.upper()}_" in row[1] for name, row in rows.items())
