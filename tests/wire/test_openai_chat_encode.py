from __future__ import annotations

import json
from typing import Any

import pytest

from tests.wire.parts import ADJUSTED, DROPPED, STATE_DROPPED, warned
from tests.wire.spelled import Json, ask_of, assistant, call, result, text, user
from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.wire.openai_chat import OpenAIChat
from trunkline_server.wire.openai_chat.quirks import COMPATIBLE_SAMPLING

WIRE = OpenAIChat()
COMPATIBLE = OpenAIChat(
    name="openai_compatible",
    sampling_fields=COMPATIBLE_SAMPLING,
    max_tokens_field="max_tokens",
    thoughts_field="reasoning_content",
    cache_marks=True,
    developer_role=False,
    sends_stream_options=False,
    required_tool_choice="any",
)


def asking(question: Json, **more: Any) -> Ask:
    return ask_of("openai", "gpt-x", question, **more)


def body(ask: Ask, wire: OpenAIChat = WIRE) -> dict[str, Any]:
    sent: dict[str, Any] = json.loads(wire.encode_chat(ask).body)
    return sent


def messages(*said: dict[str, Any], wire: OpenAIChat = WIRE) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = body(asking({"messages": list(said)}), wire)["messages"]
    return sent


def content(*parts: dict[str, Any], wire: OpenAIChat = WIRE) -> Any:
    return messages(user(*parts), wire=wire)[0]["content"]


class TestRequest:
    def test_the_least(self) -> None:
        request = WIRE.encode_chat(asking({}))
        assert (request.method, request.path) == ("POST", "/chat/completions")
        assert request.headers["accept"] == "application/json"
        assert json.loads(request.body) == {"model": "gpt-x", "messages": [{"role": "user", "content": "Hi"}]}

    def test_a_stream_asks_for_its_usage(self) -> None:
        ask = asking({}, stream=True)
        assert WIRE.encode_chat(ask).headers["accept"] == "text/event-stream"
        assert (body(ask)["stream"], body(ask)["stream_options"]) == (True, {"include_usage": True})
        assert "stream_options" not in body(ask, COMPATIBLE)

    def test_sampling(self) -> None:
        sampling = {
            "temperature": 0.0,
            "topP": 0.5,
            "frequencyPenalty": -1,
            "presencePenalty": 1,
            "candidateCount": 2,
            "topLogprobs": 0,
            "seed": "9007199254740993",
            "stopSequences": ["a", "b"],
        }
        sent = body(asking({"sampling": sampling}, max_output_tokens=7))
        assert {key: sent[key] for key in sent if key not in {"model", "messages"}} == {
            "temperature": 0.0,
            "top_p": 0.5,
            "frequency_penalty": -1,
            "presence_penalty": 1,
            "n": 2,
            "logprobs": True,
            "top_logprobs": 0,
            "seed": 9007199254740993,
            "stop": ["a", "b"],
            "max_completion_tokens": 7,
        }

    def test_what_a_compatible_server_calls_differently(self) -> None:
        sent = body(asking({"sampling": {"topK": 4}}, max_output_tokens=7), COMPATIBLE)
        assert (sent["top_k"], sent["max_tokens"]) == (4, 7)

    def test_what_openai_does_not_take_is_dropped_with_a_warning(self) -> None:
        ask = asking({"sampling": {"topK": 4}})
        assert "top_k" not in body(ask)
        assert warned(ask) == [(DROPPED, "input.sampling.top_k")]

    def test_or_refused_where_the_caller_is_strict(self) -> None:
        with pytest.raises(TrunklineError) as refused:
            body(asking({"sampling": {"topK": 4}, "strictParameters": True}))
        assert refused.value.reason is Reason.PARAMETER_UNSUPPORTED
        assert refused.value.violations[0].field == "input.sampling.top_k"

    def test_too_many_stop_sequences(self) -> None:
        ask = asking({"sampling": {"stopSequences": list("abcde")}})
        assert body(ask)["stop"] == list("abcd")
        assert warned(ask) == [(ADJUSTED, "input.sampling.stop_sequences")]

    @pytest.mark.parametrize(
        ("reasoning", "effort", "warning"),
        [
            ({"effort": "REASONING_EFFORT_NONE"}, "none", []),
            ({"effort": "REASONING_EFFORT_HIGH"}, "high", []),
            ({"budgetTokens": 0}, "none", [(ADJUSTED, "input.reasoning.budget_tokens")]),
            ({"budgetTokens": 4000}, "low", [(ADJUSTED, "input.reasoning.budget_tokens")]),
            ({"budgetTokens": 100_000}, "high", [(ADJUSTED, "input.reasoning.budget_tokens")]),
            (
                {"effort": "REASONING_EFFORT_LOW", "budgetTokens": 9000},
                "low",
                [(DROPPED, "input.reasoning.budget_tokens")],
            ),
            ({"includeText": False}, None, []),
            ({"includeText": True}, None, [(DROPPED, "input.reasoning.include_text")]),
        ],
    )
    def test_reasoning(self, reasoning: dict[str, Any], effort: str | None, warning: list[tuple[int, str]]) -> None:
        ask = asking({"reasoning": reasoning})
        assert body(ask).get("reasoning_effort") == effort
        assert warned(ask) == warning

    def test_the_end_user(self) -> None:
        assert body(asking({}, end_user="hashed"))["user"] == "hashed"
        assert "user" not in body(asking({}, end_user="hashed"), OpenAIChat(end_user_field=""))

    def test_further_fields_come_last(self) -> None:
        options = {"temperature": 1, "stream_options": {"include_obfuscation": False}, "metadata": {"a": "b"}}
        sent = body(asking({"sampling": {"temperature": 0.5}}, stream=True, options=options))
        assert (sent["temperature"], sent["metadata"]) == (1, {"a": "b"})
        assert sent["stream_options"] == {"include_usage": True, "include_obfuscation": False}


class TestTools:
    def test_functions(self) -> None:
        schema = '{"type":"object","properties":{"b":{"maximum":123456789012345678901},"a":{}}}'
        tools = [
            {"function": {"name": "f", "description": "does", "parametersJsonSchema": schema, "strict": False}},
            {"function": {"name": "g"}},
        ]
        request = WIRE.encode_chat(asking({"tools": tools, "parallelToolCalls": False}))
        sent = json.loads(request.body)
        assert sent["tools"] == [
            {
                "type": "function",
                "function": {"name": "f", "description": "does", "parameters": json.loads(schema), "strict": False},
            },
            {"type": "function", "function": {"name": "g"}},
        ]
        assert sent["parallel_tool_calls"] is False
        assert schema.encode() in request.body

    def test_the_provider_s_own_tools_go_in_as_they_are(self) -> None:
        custom = {"provider": "openai", "type": "custom", "configJson": '{"custom":{"name":"calc"},"n":1e400}'}
        other = {"provider": "anthropic", "type": "web_search_20250305"}
        ask = asking({"tools": [{"hosted": custom}, {"hosted": other}]})
        assert b'{"type":"custom","custom":{"name":"calc"},"n":1e400}' in WIRE.encode_chat(ask).body
        assert warned(ask) == [(DROPPED, "input.tools[1].hosted")]

    @pytest.mark.parametrize(
        ("choice", "spelled"),
        [
            ({"mode": "TOOL_CHOICE_MODE_AUTO"}, "auto"),
            ({"mode": "TOOL_CHOICE_MODE_NONE"}, "none"),
            ({"mode": "TOOL_CHOICE_MODE_REQUIRED"}, "required"),
            ({"toolName": "f"}, {"type": "function", "function": {"name": "f"}}),
        ],
    )
    def test_choices(self, choice: dict[str, Any], spelled: object) -> None:
        question = {"tools": [{"function": {"name": "f"}}], "toolChoice": choice}
        assert body(asking(question))["tool_choice"] == spelled

    def test_a_server_s_own_word_for_required(self) -> None:
        choice = {"mode": "TOOL_CHOICE_MODE_REQUIRED"}
        question = {"tools": [{"function": {"name": "f"}}], "toolChoice": choice}
        assert body(asking(question), COMPATIBLE)["tool_choice"] == "any"

    def test_output_formats(self) -> None:
        assert body(asking({"outputFormat": {"jsonObject": {}}}))["response_format"] == {"type": "json_object"}
        schema = {"jsonSchema": '{"type":"object"}', "description": "d", "strict": True}
        assert body(asking({"outputFormat": {"jsonSchema": schema}}))["response_format"] == {
            "type": "json_schema",
            "json_schema": {"name": "answer", "description": "d", "schema": {"type": "object"}, "strict": True},
        }


class TestMessages:
    def test_roles(self) -> None:
        said = [
            {"role": f"ROLE_{role}", "parts": [text(role)], "name": name}
            for role, name in (("SYSTEM", ""), ("DEVELOPER", ""), ("USER", "ann"), ("ASSISTANT", ""))
        ]
        assert messages(*said) == [
            {"role": "system", "content": "SYSTEM"},
            {"role": "developer", "content": "DEVELOPER"},
            {"role": "user", "content": "USER", "name": "ann"},
            {"role": "assistant", "content": "ASSISTANT"},
        ]
        assert messages(said[1], wire=COMPATIBLE)[0]["role"] == "system"

    def test_several_texts_stay_several(self) -> None:
        assert content(text("a"), text("b")) == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]

    def test_pictures(self) -> None:
        address = {"image": {"blob": {"uri": "https://a.example/x.png"}, "detail": "MEDIA_DETAIL_LOW"}}
        data = {"image": {"blob": {"data": "AAEC", "mediaType": "image/webp"}}}
        assert content(address, data) == [
            {"type": "image_url", "image_url": {"url": "https://a.example/x.png", "detail": "low"}},
            {"type": "image_url", "image_url": {"url": "data:image/webp;base64,AAEC"}},
        ]

    @pytest.mark.parametrize(
        ("media_type", "spelled"),
        [("audio/mpeg", "mp3"), ("audio/x-wav", "wav"), ("audio/flac", "flac"), ("", "wav")],
    )
    def test_sound(self, media_type: str, spelled: str) -> None:
        sound = {"audio": {"blob": {"data": "AAEC", "mediaType": media_type}}}
        assert content(sound) == [{"type": "input_audio", "input_audio": {"data": "AAEC", "format": spelled}}]

    def test_documents(self) -> None:
        file = {"document": {"blob": {"data": "AAEC", "filename": "a.pdf", "mediaType": "application/pdf"}}}
        known = {"document": {"blob": {"fileId": "file_1"}}}
        note = {"document": {"text": "body", "title": "T", "context": "C"}}
        assert content(file, known, note) == [
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAEC"}},
            {"type": "file", "file": {"file_id": "file_1"}},
            {"type": "text", "text": "T"},
            {"type": "text", "text": "C"},
            {"type": "text", "text": "body"},
        ]

    @pytest.mark.parametrize(
        "part",
        [
            {"video": {"blob": {"data": "AAEC"}}},
            {"image": {"blob": {"fileId": "file_1"}}},
            {"audio": {"blob": {"uri": "https://a.example/x.mp3"}}},
            {"document": {"blob": {"uri": "https://a.example/x.pdf"}}},
            {"toolCall": {"callId": "a", "name": "f"}},
        ],
    )
    def test_what_has_no_words_is_refused(self, part: dict[str, Any]) -> None:
        with pytest.raises(TrunklineError) as refused:
            messages(user(text("a"), part))
        assert refused.value.reason is Reason.CAPABILITY_UNSUPPORTED
        assert refused.value.violations[0].field.startswith("input.messages[0].parts[1]")

    def test_blocks_of_the_provider_go_back_to_it(self) -> None:
        own = {"opaque": {"provider": "openai", "type": "t", "json": '{"type":"t","n":1}'}}
        other = {"opaque": {"provider": "gemini", "type": "t", "json": "{}"}}
        ask = asking({"messages": [user(text("a"), own, other, other)]})
        assert body(ask)["messages"][0]["content"] == [{"type": "text", "text": "a"}, {"type": "t", "n": 1}]
        assert warned(ask) == [(STATE_DROPPED, "input.messages[0].parts[2]")]

    def test_cache_hints(self) -> None:
        hint = {**text("a"), "cacheHint": {"ttlSeconds": 3600}}
        assert content(hint, wire=COMPATIBLE) == [
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
        ]
        ask = asking({"messages": [user(hint)]})
        assert body(ask)["messages"][0]["content"] == "a"
        assert warned(ask) == [(DROPPED, "input.messages[0].parts[0].cache_hint")]


class TestAssistant:
    def test_calls_and_words(self) -> None:
        said = assistant(text("Let me look"), call("a", '{"x":1}'), call("b", ""))
        assert messages(said) == [
            {
                "role": "assistant",
                "content": "Let me look",
                "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
                    {"id": "b", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                ],
            }
        ]

    def test_only_calls(self) -> None:
        assert messages(assistant(call("a")))[0]["content"] is None

    def test_refusals(self) -> None:
        said = assistant({"refusal": {"text": "No."}})
        assert messages(said) == [{"role": "assistant", "content": None, "refusal": "No."}]

    def test_free_text_calls_go_back_as_such(self) -> None:
        state = {"provider": "openai", "data": "Y3VzdG9t"}
        (said,) = messages(assistant({**call("c", "4 + 4"), "providerState": state}))
        assert said["tool_calls"] == [{"id": "c", "type": "custom", "custom": {"name": "f", "input": "4 + 4"}}]

    def test_speech_goes_back_by_its_id(self) -> None:
        speech = {"audio": {"blob": {"data": "AAEC"}, "transcript": "Hello"}}
        own = {**speech, "providerState": {"provider": "openai", "itemId": "audio_1"}}
        assert messages(assistant(own)) == [{"role": "assistant", "content": None, "audio": {"id": "audio_1"}}]
        assert messages(assistant(speech)) == [{"role": "assistant", "content": "Hello"}]

    def test_thoughts_go_back_where_the_server_takes_them(self) -> None:
        thoughts = {"reasoning": {"text": "Hm"}}
        assert messages(assistant(thoughts, text("a")), wire=COMPATIBLE) == [
            {"role": "assistant", "content": "a", "reasoning_content": "Hm"}
        ]
        ask = asking({"messages": [assistant(thoughts), assistant(thoughts, text("a"))]})
        assert body(ask)["messages"] == [{"role": "assistant", "content": ""}, {"role": "assistant", "content": "a"}]
        assert warned(ask) == [(STATE_DROPPED, "input.messages[0].parts[0]")]

    def test_blocks_of_thoughts_go_back_in_one_list(self) -> None:
        wire = OpenAIChat(thoughts_field="reasoning", thought_blocks_field="reasoning_details")
        shown = {"reasoning": {"text": "Hm"}, "providerState": {"provider": "openai", "data": "W3sibiI6MX1d"}}
        hidden = {"reasoning": {"redacted": True}, "providerState": {"provider": "openai", "data": "W3sibiI6Mn1d"}}
        (said,) = messages(assistant(shown, hidden, text("a")), wire=wire)
        assert (said["reasoning"], said["reasoning_details"]) == ("Hm", [{"n": 1}, {"n": 2}])

    def test_a_forged_state_is_refused(self) -> None:
        wire = OpenAIChat(thought_blocks_field="reasoning_details")
        forged = {"reasoning": {"text": "Hm"}, "providerState": {"provider": "openai", "data": "AAEC"}}
        with pytest.raises(TrunklineError) as refused:
            messages(assistant(forged), wire=wire)
        assert refused.value.violations[0].field == "input.messages[0].parts[0].provider_state"

    def test_state_of_another_provider_is_left_out_and_said_once(self) -> None:
        foreign = {"providerState": {"provider": "gemini", "data": "AAEC"}}
        thoughts = {"reasoning": {"text": "Hm"}, **foreign}
        ask = asking({"messages": [assistant(thoughts, {**text("a"), **foreign}, {**call("c"), **foreign})]})
        (said,) = body(ask, COMPATIBLE)["messages"]
        assert (said["content"], said["tool_calls"][0]["id"]) == ("a", "c")
        assert "reasoning_content" not in said
        assert [warning.code for warning in ask.warnings] == [STATE_DROPPED]

    def test_what_another_provider_ran_is_left_out(self) -> None:
        ran = call("s", executor="TOOL_EXECUTOR_PROVIDER")
        ask = asking({"messages": [assistant(ran, result("s", text("found")), text("a"))]})
        assert body(ask)["messages"] == [{"role": "assistant", "content": "a"}]
        assert [warning.code for warning in ask.warnings] == [STATE_DROPPED]


class TestToolResults:
    def test_each_is_a_message(self) -> None:
        said = {"role": "ROLE_TOOL", "parts": [result("a", text("1")), result("b", text("2"), text("3"))]}
        assert messages(said) == [
            {"role": "tool", "tool_call_id": "a", "content": "1"},
            {
                "role": "tool",
                "tool_call_id": "b",
                "content": [{"type": "text", "text": "2"}, {"type": "text", "text": "3"}],
            },
        ]

    def test_data_is_text(self) -> None:
        said = [
            result("a", structuredJson='{"t":1}'),
            result("b", text("one"), structuredJson='{"t":1}'),
            result("c", text('{"t":1}'), structuredJson='{"t":1}'),
            result("d"),
        ]
        assert [each["content"] for each in messages(user(*said))] == [
            '{"t":1}',
            [{"type": "text", "text": "one"}, {"type": "text", "text": '{"t":1}'}],
            '{"t":1}',
            "",
        ]

    def test_errors_say_so(self) -> None:
        said = [result("a", text("no such city"), isError=True), result("b", isError=True)]
        assert [each["content"] for each in messages(user(*said))] == ["Error: no such city", "Error"]

    def test_pictures_follow_the_last_result(self) -> None:
        picture = {"image": {"blob": {"uri": "https://a.example/x.png"}}}
        first = {"role": "ROLE_TOOL", "parts": [result("a", text("see"), picture)]}
        second = {"role": "ROLE_TOOL", "parts": [result("b", text("2"))]}
        sent = messages(first, second, user(text("go on")))
        assert [each["role"] for each in sent] == ["tool", "tool", "user", "user"]
        assert sent[2]["content"] == [
            {"type": "text", "text": "From tool call a:"},
            {"type": "image_url", "image_url": {"url": "https://a.example/x.png"}},
        ]

    def test_a_tool_says_nothing_else(self) -> None:
        with pytest.raises(TrunklineError) as refused:
            messages({"role": "ROLE_TOOL", "parts": [text("a")]})
        assert refused.value.reason is Reason.VALIDATION


def test_an_answer_goes_back_as_it_came() -> None:
    """What a caller gets is what the next turn may send."""
    part = content_pb2.Part(
        tool_call=content_pb2.ToolCallPart(
            call_id="a",
            name="f",
            arguments_json='{"n":12345678901234567890}',
            executor=content_pb2.TOOL_EXECUTOR_CALLER,
            state=content_pb2.TOOL_CALL_STATE_READY,
        )
    )
    question = chat_pb2.ChatInput(messages=[content_pb2.Message(role=content_pb2.ROLE_ASSISTANT, parts=[part])])
    sent = body(Ask("openai", "gpt-x", question, stream=False))
    assert sent["messages"][0]["tool_calls"][0]["function"]["arguments"] == '{"n":12345678901234567890}'
