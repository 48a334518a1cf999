from __future__ import annotations

import json
from typing import Any

import pytest

from tests.wire.parts import ADJUSTED, DROPPED, STATE_DROPPED, warned
from tests.wire.spelled import PNG, Json, ask_of, assistant, call, function, result, text, tool, user
from trunkline_server.core.ask import Ask
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.wire.ollama import Ollama

WIRE = Ollama()


def asking(question: Json, **more: Any) -> Ask:
    return ask_of("ollama", "m:1", question, **more)


def body(ask: Ask) -> Json:
    sent: Json = json.loads(WIRE.encode_chat(ask).body)
    return sent


def messages(*said: Json) -> list[Json]:
    sent: list[Json] = body(asking({"messages": list(said)}))["messages"]
    return sent


PICTURE = {"image": {"blob": {"data": PNG, "mediaType": "image/png"}}}


class TestRequest:
    def test_the_least(self) -> None:
        request = WIRE.encode_chat(asking({}))
        assert (request.method, request.path) == ("POST", "/api/chat")
        assert request.headers["accept"] == "application/json"
        assert json.loads(request.body) == {
            "model": "m:1",
            "messages": [{"role": "user", "content": "Hi"}],
            "options": {},
            "truncate": False,
            "stream": False,
        }

    def test_a_stream(self) -> None:
        request = WIRE.encode_chat(asking({}, stream=True))
        assert request.headers["accept"] == "application/x-ndjson"
        assert json.loads(request.body)["stream"] is True

    def test_options_come_last_and_join_ours(self) -> None:
        ask = asking({}, max_output_tokens=9, options={"keep_alive": "5m", "options": {"num_ctx": 8192}})
        sent = body(ask)
        assert (sent["keep_alive"], sent["options"]) == ("5m", {"num_predict": 9, "num_ctx": 8192})

    def test_roles(self) -> None:
        said = [{"role": f"ROLE_{role}", "parts": [text("x")]} for role in ("SYSTEM", "DEVELOPER", "USER", "ASSISTANT")]
        assert [message["role"] for message in messages(*said)] == ["system", "system", "user", "assistant"]

    def test_names_of_speakers_are_dropped(self) -> None:
        ask = asking({"messages": [{**user(text("x")), "name": "Ann"}]})
        assert body(ask)["messages"] == [{"role": "user", "content": "x"}]
        assert warned(ask) == [(DROPPED, "input.messages[0].name")]


class TestParts:
    def test_texts_and_pictures(self) -> None:
        document = {"document": {"text": "T", "title": "N", "context": "C"}}
        (said,) = messages(user(text("a"), PICTURE, document, PICTURE))
        assert said == {"role": "user", "content": "a\n\nN\n\nC\n\nT", "images": [PNG, PNG]}

    @pytest.mark.parametrize(
        "part",
        [
            {"image": {"blob": {"uri": "https://x/y.png"}}},
            {"image": {"blob": {"fileId": "f"}}},
            {"document": {"blob": {"data": PNG, "mediaType": "application/pdf"}}},
            {"audio": {"blob": {"data": PNG}}},
            {"opaque": {"provider": "ollama", "type": "x", "json": "{}"}},
        ],
    )
    def test_what_it_cannot_take_is_refused(self, part: Json) -> None:
        with pytest.raises(TrunklineError) as refused:
            messages(user(part))
        assert refused.value.reason is Reason.CAPABILITY_UNSUPPORTED

    def test_state_of_others_and_cache_hints_are_left_out(self) -> None:
        other = {"opaque": {"provider": "p", "type": "x", "json": "{}"}}
        ask = asking({"messages": [user(other), user({**text("x"), "cacheHint": {}})]})
        assert body(ask)["messages"] == [{"role": "user", "content": "x"}]
        assert warned(ask) == [
            (STATE_DROPPED, "input.messages[0].parts[0]"),
            (DROPPED, "input.messages[1].parts[0].cache_hint"),
        ]


class TestAssistant:
    def test_all_that_was_said(self) -> None:
        ask = asking(
            {
                "messages": [
                    assistant({"reasoning": {"text": "hm"}}, text("a"), text("b"), PICTURE, call("c", '{"n":1.0}'))
                ]
            }
        )
        assert b'"arguments":{"n":1.0}' in WIRE.encode_chat(ask).body
        assert body(ask)["messages"] == [
            {
                "role": "assistant",
                "content": "ab",
                "images": [PNG],
                "thinking": "hm",
                "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {"n": 1.0}}}],
            }
        ]

    def test_arguments_that_the_model_spelled_wrongly_stay_inside(self) -> None:
        wrong = '{}}}]}],"model":"dear"'
        ask = asking({"messages": [assistant(call("c", wrong, state="TOOL_CALL_STATE_INVALID"))]})
        assert body(ask)["messages"][0]["tool_calls"][0]["function"]["arguments"] == {"invalid_json": wrong}
        assert body(ask)["model"] == "m:1"

    def test_what_is_not_its_own_is_left_out(self) -> None:
        theirs = {"reasoning": {"text": "hm"}, "providerState": {"provider": "p"}}
        hidden = {"reasoning": {"redacted": True}}
        provided = call("a", executor="TOOL_EXECUTOR_PROVIDER")
        ask = asking({"messages": [assistant(theirs, hidden, provided, result("a"), text("x"))]})
        assert body(ask)["messages"] == [{"role": "assistant", "content": "x"}]
        assert warned(ask) == [(STATE_DROPPED, "input.messages[0].parts[0]")]

    def test_refusals_and_speech_are_words(self) -> None:
        said = {"refusal": {"text": "no"}}, {"audio": {"transcript": "yes", "blob": {"data": PNG}}}
        assert messages(assistant(*said))[0]["content"] == "noyes"


class TestResults:
    def test_each_is_a_message_and_says_its_name(self) -> None:
        told = [result("c", text("x"), PICTURE, structuredJson="[1]"), result("d", text("y"), name="g")]
        assert messages(assistant(call("c")), tool(*told))[1:] == [
            {"role": "tool", "tool_call_id": "c", "tool_name": "f", "content": "x\n\n[1]", "images": [PNG]},
            {"role": "tool", "tool_call_id": "d", "tool_name": "g", "content": "y"},
        ]

    def test_errors(self) -> None:
        failed, silent = messages(tool(result("a", text("x"), isError=True), result("b", isError=True)))
        assert (failed["content"], silent["content"]) == ("Error:\n\nx", "Error:")

    def test_the_same_data_twice_are_said_once(self) -> None:
        assert messages(tool(result("a", text("[1]"), structuredJson="[1]")))[0]["content"] == "[1]"

    def test_a_tool_says_nothing_else(self) -> None:
        with pytest.raises(TrunklineError):
            messages(tool(text("x")))


class TestTools:
    def test_functions_keep_their_schemas(self) -> None:
        schema = '{"type": "object", "b": 1.0, "a": 12345678901234567890}'
        ask = asking({"tools": [function(description="d", parametersJsonSchema=schema), function("g")]})
        assert schema.encode() in WIRE.encode_chat(ask).body
        assert [each["function"]["name"] for each in body(ask)["tools"]] == ["f", "g"]

    @pytest.mark.parametrize(
        ("choice", "count", "warnings"),
        [
            ({"mode": "TOOL_CHOICE_MODE_AUTO"}, 1, []),
            ({"mode": "TOOL_CHOICE_MODE_NONE"}, 0, []),
            ({"mode": "TOOL_CHOICE_MODE_REQUIRED"}, 1, [(DROPPED, "input.tool_choice")]),
            ({"toolName": "f"}, 1, [(DROPPED, "input.tool_choice")]),
        ],
    )
    def test_choices(self, choice: Json, count: int, warnings: list[Any]) -> None:
        ask = asking({"tools": [function()], "toolChoice": choice})
        assert (len(body(ask).get("tools", [])), warned(ask)) == (count, warnings)

    def test_what_it_cannot_promise_is_dropped(self) -> None:
        own = {"hosted": {"provider": "ollama", "type": "search", "configJson": '{"n": 1.0}'}}
        other = {"hosted": {"provider": "p", "type": "x"}, "cacheHint": {}}
        ask = asking({"tools": [own, other, function(strict=True)], "parallelToolCalls": False})
        assert b'"tools":[{"type":"search","n":1.0},' in WIRE.encode_chat(ask).body
        assert warned(ask) == [
            (DROPPED, "input.parallel_tool_calls"),
            (DROPPED, "input.tools[1].cache_hint"),
            (DROPPED, "input.tools[1].hosted"),
            (DROPPED, "input.tools[2].function.strict"),
        ]


class TestSettings:
    def test_sampling(self) -> None:
        sampling = {
            "temperature": 0.5,
            "topP": 0.75,
            "topK": 40,
            "frequencyPenalty": 0.1,
            "presencePenalty": 0.2,
            "seed": "7",
            "stopSequences": ["a"],
            "candidateCount": 1,
            "topLogprobs": 3,
        }
        ask = asking({"sampling": sampling}, max_output_tokens=9)
        sent = body(ask)
        assert sent["options"] == {
            "num_predict": 9,
            "temperature": 0.5,
            "top_p": 0.75,
            "top_k": 40,
            "frequency_penalty": 0.1,
            "presence_penalty": 0.2,
            "seed": 7,
            "stop": ["a"],
        }
        assert (sent["logprobs"], sent["top_logprobs"], ask.warnings) == (True, 3, [])

    def test_several_answers_are_dropped(self) -> None:
        ask = asking({"sampling": {"candidateCount": 2}})
        body(ask)
        assert warned(ask) == [(DROPPED, "input.sampling.candidate_count")]

    @pytest.mark.parametrize(
        ("reasoning", "think", "warnings"),
        [
            ({}, None, []),
            ({"effort": "REASONING_EFFORT_NONE"}, False, []),
            ({"effort": "REASONING_EFFORT_MINIMAL"}, "low", []),
            ({"effort": "REASONING_EFFORT_HIGH", "includeText": True}, "high", []),
            ({"budgetTokens": 0}, False, []),
            ({"budgetTokens": 5000}, "medium", [(ADJUSTED, "input.reasoning.budget_tokens")]),
            ({"budgetTokens": 99999}, "high", [(ADJUSTED, "input.reasoning.budget_tokens")]),
            (
                {"budgetTokens": 5, "effort": "REASONING_EFFORT_LOW"},
                "low",
                [(DROPPED, "input.reasoning.budget_tokens")],
            ),
            ({"includeText": False}, None, [(DROPPED, "input.reasoning.include_text")]),
        ],
    )
    def test_thinking(self, reasoning: Json, think: object, warnings: list[Any]) -> None:
        ask = asking({"reasoning": reasoning})
        assert (body(ask).get("think"), warned(ask)) == (think, warnings)

    def test_output_formats(self) -> None:
        assert body(asking({"outputFormat": {"jsonObject": {}}}))["format"] == "json"
        schema = '{"type": "object", "b": 1.0}'
        spelled = WIRE.encode_chat(asking({"outputFormat": {"jsonSchema": {"jsonSchema": schema}}})).body
        assert f'"format":{schema}'.encode() in spelled
