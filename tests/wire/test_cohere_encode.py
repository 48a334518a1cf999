from __future__ import annotations

import json
from typing import Any

import pytest

from tests.wire.parts import ADJUSTED, DROPPED, STATE_DROPPED, warned
from tests.wire.spelled import PNG, Json, ask_of, assistant, call, function, result, text, tool, user
from trunkline_server.core.ask import Ask
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.wire.cohere import Cohere

WIRE = Cohere()


def asking(question: Json, **more: Any) -> Ask:
    return ask_of("cohere", "command-x", question, **more)


def body(ask: Ask) -> Json:
    sent: Json = json.loads(WIRE.encode_chat(ask).body)
    return sent


def messages(*said: Json) -> list[Json]:
    sent: list[Json] = body(asking({"messages": list(said)}))["messages"]
    return sent


def thought(words: str, provider: str = "cohere", data: str = "") -> Json:
    return {"reasoning": {"text": words}, "providerState": {"provider": provider, "data": data}}


TOOL_PLAN = "dG9vbF9wbGFu"


class TestRequest:
    def test_the_least(self) -> None:
        request = WIRE.encode_chat(asking({}))
        assert (request.method, request.path) == ("POST", "/v2/chat")
        assert request.headers["accept"] == "application/json"
        assert json.loads(request.body) == {
            "model": "command-x",
            "messages": [{"role": "user", "content": "Hi"}],
            "stream": False,
        }

    def test_a_stream(self) -> None:
        request = WIRE.encode_chat(asking({}, stream=True))
        assert request.headers["accept"] == "text/event-stream"
        assert json.loads(request.body)["stream"] is True

    def test_options_come_last(self) -> None:
        sent = body(asking({}, options={"safety_mode": "STRICT", "stream": True}))
        assert (sent["safety_mode"], sent["stream"]) == ("STRICT", True)

    def test_roles(self) -> None:
        said = [{"role": f"ROLE_{role}", "parts": [text("x")]} for role in ("SYSTEM", "DEVELOPER", "USER", "ASSISTANT")]
        assert [message["role"] for message in messages(*said)] == ["system", "system", "user", "assistant"]

    def test_names_of_speakers_are_dropped(self) -> None:
        ask = asking({"messages": [{**user(text("x")), "name": "Ann"}]})
        assert body(ask)["messages"] == [{"role": "user", "content": "x"}]
        assert warned(ask) == [(DROPPED, "input.messages[0].name")]


class TestParts:
    def test_texts_and_pictures(self) -> None:
        parts = [
            text("a"),
            {"image": {"blob": {"data": PNG, "mediaType": "image/png"}, "detail": "MEDIA_DETAIL_LOW"}},
            {"image": {"blob": {"uri": "https://x/y.png"}}},
        ]
        assert messages(user(*parts))[0]["content"] == [
            {"type": "text", "text": "a"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
            {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
        ]

    def test_documents_lie_beside_the_conversation(self) -> None:
        sent = body(asking({"messages": [user(text("a"), {"document": {"text": "T", "title": "N", "context": "C"}})]}))
        assert sent["messages"] == [{"role": "user", "content": "a"}]
        assert sent["documents"] == [{"data": {"title": "N", "context": "C", "text": "T"}}]

    @pytest.mark.parametrize(
        "part",
        [
            {"image": {"blob": {"fileId": "f"}}},
            {"document": {"blob": {"data": PNG, "mediaType": "application/pdf"}}},
            {"audio": {"blob": {"data": PNG}}},
            {"video": {"blob": {"data": PNG}}},
        ],
    )
    def test_what_it_cannot_take_is_refused(self, part: Json) -> None:
        with pytest.raises(TrunklineError) as refused:
            messages(user(part))
        assert refused.value.reason is Reason.CAPABILITY_UNSUPPORTED

    def test_opaque_parts_go_back(self) -> None:
        own = {"opaque": {"provider": "cohere", "type": "x", "json": '{"type":"x","n":1.0}'}}
        other = {"opaque": {"provider": "p", "type": "x", "json": "{}"}}
        ask = asking({"messages": [user(own, other)]})
        assert b'[{"type":"x","n":1.0}]' in WIRE.encode_chat(ask).body
        assert warned(ask) == [(STATE_DROPPED, "input.messages[0].parts[1]")]

    def test_cache_hints_are_dropped(self) -> None:
        ask = asking({"messages": [user({**text("x"), "cacheHint": {}}, {"document": {"text": "T"}, "cacheHint": {}})]})
        body(ask)
        assert warned(ask) == [(DROPPED, f"input.messages[0].parts[{index}].cache_hint") for index in (0, 1)]


class TestAssistant:
    def test_all_that_was_said(self) -> None:
        cited = {"opaque": {"provider": "cohere", "type": "citation", "json": '{"type":"PLAN"}'}}
        (said,) = messages(
            assistant(thought("do it", data=TOOL_PLAN), thought("hm"), text("x"), call("a", '{"n":1.0}'), cited)
        )
        assert said == {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "x"}],
            "tool_plan": "do it",
            "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"n":1.0}'}}],
            "citations": [{"type": "PLAN"}],
        }

    def test_calls_alone_have_no_content(self) -> None:
        assert "content" not in messages(assistant(call("a")))[0]

    def test_nothing_left_is_an_empty_text(self) -> None:
        ask = asking({"messages": [assistant(thought("hm", "p"))]})
        assert body(ask)["messages"] == [{"role": "assistant", "content": ""}]
        assert warned(ask) == [(STATE_DROPPED, "input.messages[0].parts[0]")]

    def test_hidden_thoughts_and_calls_of_others_are_left_out(self) -> None:
        hidden = {"reasoning": {"redacted": True}}
        ask = asking(
            {"messages": [assistant(hidden, call("a", executor="TOOL_EXECUTOR_PROVIDER"), result("a"), text("x"))]}
        )
        assert body(ask)["messages"] == [{"role": "assistant", "content": "x"}]
        assert warned(ask) == [(STATE_DROPPED, "input.messages[0].parts[0]")]

    def test_refusals_and_speech_are_words(self) -> None:
        said = {"refusal": {"text": "no"}}, {"audio": {"transcript": "yes", "blob": {"data": PNG}}}
        assert [block["text"] for block in messages(assistant(*said))[0]["content"]] == ["no", "yes"]

    def test_thoughts_that_nobody_owns_are_thoughts(self) -> None:
        assert messages(assistant({"reasoning": {"text": "hm"}}))[0]["content"] == [
            {"type": "thinking", "thinking": "hm"}
        ]


class TestResults:
    def test_texts_documents_and_data(self) -> None:
        told = result("a", text("x"), {"document": {"text": "T", "title": "N"}}, structuredJson='{"n": 1}')
        assert messages(tool(told)) == [
            {
                "role": "tool",
                "tool_call_id": "a",
                "content": [
                    {"type": "text", "text": "x"},
                    {"type": "document", "document": {"data": {"title": "N", "text": "T"}}},
                    {"type": "text", "text": '{"n": 1}'},
                ],
            }
        ]

    def test_errors(self) -> None:
        failed, silent = messages(tool(result("a", text("x"), isError=True), result("b", isError=True)))
        assert [block["text"] for block in failed["content"]] == ["Error:", "x"]
        assert silent["content"] == "Error"

    def test_the_same_data_twice_are_said_once(self) -> None:
        assert messages(tool(result("a", text("[1]"), structuredJson="[1]")))[0]["content"] == "[1]"

    def test_pictures_follow_the_last_result(self) -> None:
        picture = {"image": {"blob": {"uri": "https://x/y.png"}}}
        first, second, shown, last = messages(tool(result("a", picture), result("b", text("x"))), user(text("y")))
        assert (first["content"], second["tool_call_id"], last["content"]) == ("", "b", "y")
        assert (shown["role"], shown["content"][0]["text"]) == ("user", "From tool call a:")
        assert shown["content"][1]["image_url"]["url"] == "https://x/y.png"

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
        ("choice", "names", "word"),
        [
            ({"mode": "TOOL_CHOICE_MODE_AUTO"}, ["f", "g"], None),
            ({"mode": "TOOL_CHOICE_MODE_NONE"}, ["f", "g"], "NONE"),
            ({"mode": "TOOL_CHOICE_MODE_REQUIRED"}, ["f", "g"], "REQUIRED"),
            ({"toolName": "g"}, ["g"], "REQUIRED"),
        ],
    )
    def test_choices(self, choice: Json, names: list[str], word: str | None) -> None:
        ask = asking({"tools": [function("f"), function("g")], "toolChoice": choice})
        sent = body(ask)
        assert [each["function"]["name"] for each in sent["tools"]] == names
        assert (sent.get("tool_choice"), ask.warnings) == (word, [])

    @pytest.mark.parametrize(
        ("wanted", "strict", "warnings"),
        [
            ([True, True], True, []),
            ([False, None], None, []),
            ([True, None], None, [(DROPPED, "input.tools")]),
        ],
    )
    def test_strictness_is_of_all(self, wanted: list[bool | None], strict: bool | None, warnings: list[Any]) -> None:
        tools = [function(f"f{n}", **({} if each is None else {"strict": each})) for n, each in enumerate(wanted)]
        ask = asking({"tools": tools})
        assert (body(ask).get("strict_tools"), warned(ask)) == (strict, warnings)

    def test_hosted_tools(self) -> None:
        own = {"hosted": {"provider": "cohere", "type": "search", "configJson": '{"n": 1.0}'}}
        other = {"hosted": {"provider": "p", "type": "x"}, "cacheHint": {}}
        ask = asking({"tools": [own, other], "parallelToolCalls": False})
        assert b'[{"type":"search","n":1.0}]' in WIRE.encode_chat(ask).body
        assert warned(ask) == [
            (DROPPED, "input.tools[1].cache_hint"),
            (DROPPED, "input.tools[1].hosted"),
            (DROPPED, "input.parallel_tool_calls"),
        ]


class TestSettings:
    def test_sampling(self) -> None:
        sampling = {
            "temperature": 0.5,
            "topP": 0.9,
            "topK": 40,
            "frequencyPenalty": 0.1,
            "presencePenalty": 0.2,
            "seed": "7",
            "stopSequences": ["a"],
            "candidateCount": 1,
            "topLogprobs": 0,
        }
        ask = asking({"sampling": sampling}, max_output_tokens=9)
        sent = body(ask)
        assert {key: sent[key] for key in sent if key not in ("model", "messages", "stream")} == {
            "max_tokens": 9,
            "temperature": 0.5,
            "p": 0.9,
            "k": 40,
            "frequency_penalty": 0.1,
            "presence_penalty": 0.2,
            "seed": 7,
            "stop_sequences": ["a"],
            "logprobs": True,
        }
        assert ask.warnings == []

    @pytest.mark.parametrize(
        ("sampling", "field", "sent", "code"),
        [
            ({"topP": 1.0}, "top_p", ("p", 0.99), ADJUSTED),
            ({"topK": 900}, "top_k", ("k", 500), ADJUSTED),
            ({"frequencyPenalty": -1}, "frequency_penalty", ("frequency_penalty", 0.0), ADJUSTED),
            ({"presencePenalty": 2}, "presence_penalty", ("presence_penalty", 1.0), ADJUSTED),
            ({"stopSequences": list("abcdef")}, "stop_sequences", ("stop_sequences", list("abcde")), ADJUSTED),
            ({"topLogprobs": 3}, "top_logprobs", ("logprobs", True), ADJUSTED),
            ({"candidateCount": 2}, "candidate_count", ("n", None), DROPPED),
        ],
    )
    def test_what_it_takes_otherwise(self, sampling: Json, field: str, sent: tuple[str, Any], code: int) -> None:
        ask = asking({"sampling": sampling})
        assert body(ask).get(sent[0]) == sent[1]
        assert warned(ask) == [(code, f"input.sampling.{field}")]
        with pytest.raises(TrunklineError) as refused:
            body(asking({"sampling": sampling, "strictParameters": True}))
        assert refused.value.reason is Reason.PARAMETER_UNSUPPORTED

    @pytest.mark.parametrize(
        ("reasoning", "thinking"),
        [
            ({"effort": "REASONING_EFFORT_NONE"}, {"type": "disabled"}),
            ({"effort": "REASONING_EFFORT_LOW"}, {"type": "enabled", "token_budget": 2048}),
            ({"budgetTokens": 0}, {"type": "disabled"}),
            ({"budgetTokens": 77, "effort": "REASONING_EFFORT_HIGH"}, {"type": "enabled", "token_budget": 77}),
            ({"includeText": True}, None),
        ],
    )
    def test_thinking(self, reasoning: Json, thinking: Json | None) -> None:
        ask = asking({"reasoning": reasoning})
        assert (body(ask).get("thinking"), ask.warnings) == (thinking, [])

    def test_thoughts_cannot_be_hidden(self) -> None:
        ask = asking({"reasoning": {"includeText": False}})
        body(ask)
        assert warned(ask) == [(DROPPED, "input.reasoning.include_text")]

    def test_output_formats(self) -> None:
        assert body(asking({"outputFormat": {"jsonObject": {}}}))["response_format"] == {"type": "json_object"}
        schema = '{"type": "object", "b": 1.0}'
        spelled = WIRE.encode_chat(asking({"outputFormat": {"jsonSchema": {"jsonSchema": schema}}})).body
        assert f'"response_format":{{"type":"json_object","json_schema":{schema}}}'.encode() in spelled
