from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.wire.parts import ADJUSTED, DROPPED, STATE_DROPPED
from tests.wire.recorded import read
from tests.wire.spelled import Json, ask_of, assistant, text, tool, user
from trunkline_server.core.ask import Ask
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.wire.openai_responses import OpenAIResponses
from trunkline_server.wire.openai_responses.quirks import COMPATIBLE_SAMPLING

WIRE = OpenAIResponses()
COMPATIBLE = OpenAIResponses(
    sampling_fields=COMPATIBLE_SAMPLING, developer_role=False, end_user_field="", count_path=""
)
DATA = base64.b64encode(b"bytes").decode()


def asking(question: Json, model: str = "gpt-5", **more: Any) -> Ask:
    return ask_of("openai", model, question, **more)


def body(ask: Ask, wire: OpenAIResponses = WIRE) -> dict[str, Any]:
    sent: dict[str, Any] = json.loads(wire.encode_chat(ask).body)
    return sent


def items(*said: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = body(asking({"messages": list(said)}, **more))["input"]
    return sent


def state(data: object = b"", provider: str = "openai", **more: Any) -> dict[str, Any]:
    spelled = data if isinstance(data, bytes) else json.dumps(data).encode()
    return {"providerState": {"provider": provider, "data": base64.b64encode(spelled).decode(), **more}}


def call(call_id: str = "call_1", **more: Any) -> dict[str, Any]:
    return {"toolCall": {"callId": call_id, "name": "weather", "argumentsJson": '{"b":1,"a":2}', **more}}


def result(*parts: dict[str, Any], call_id: str = "call_1", **more: Any) -> dict[str, Any]:
    return {"toolResult": {"callId": call_id, "parts": list(parts), **more}}


def content(*parts: dict[str, Any]) -> Any:
    (item,) = items(user(*parts))
    return item["content"]


def warned(ask: Ask) -> list[tuple[int, str]]:
    WIRE.encode_chat(ask)
    return [(warning.code, warning.field) for warning in ask.warnings]


class TestMessages:
    def test_the_least(self) -> None:
        assert body(asking({})) == {
            "model": "gpt-5",
            "input": [{"role": "user", "content": "Hi"}],
            "store": False,
            "include": ["reasoning.encrypted_content"],
        }

    def test_roles(self) -> None:
        system = {"role": "ROLE_SYSTEM", "parts": [text("Be kind")]}
        developer = {"role": "ROLE_DEVELOPER", "parts": [text("Be short")]}
        sent = body(asking({"messages": [system, developer, user(text("Hi")), system]}))
        assert sent["instructions"] == "Be kind"
        assert [(item["role"], item["content"]) for item in sent["input"]] == [
            ("developer", "Be short"),
            ("user", "Hi"),
            ("system", "Be kind"),
        ]
        assert body(asking({"messages": [developer]}), COMPATIBLE)["input"][0]["role"] == "system"

    def test_instructions_in_pieces_stay_a_message(self) -> None:
        (item, _) = items({"role": "ROLE_SYSTEM", "parts": [text("A"), text("B")]}, user(text("Hi")))
        assert [block["text"] for block in item["content"]] == ["A", "B"]

    def test_a_tools_message_holds_only_results(self) -> None:
        with pytest.raises(TrunklineError) as refused:
            items(tool(text("Hi")))
        assert refused.value.reason is Reason.VALIDATION

    def test_names_and_cache_hints_are_dropped(self) -> None:
        ask = asking({"messages": [{**user(text("Hi", cacheHint={})), "name": "Ada"}]})
        assert warned(ask) == [(DROPPED, "input.messages[0].name"), (DROPPED, "input.messages[0].parts[0].cache_hint")]

    def test_pictures(self) -> None:
        assert content(
            {"image": {"blob": {"uri": "https://a.example/a.png"}, "detail": "MEDIA_DETAIL_HIGH"}},
            {"image": {"blob": {"data": DATA, "mediaType": "image/jpeg"}}},
            {"image": {"blob": {"fileId": "file-1"}}},
        ) == [
            {"type": "input_image", "image_url": "https://a.example/a.png", "detail": "high"},
            {"type": "input_image", "image_url": f"data:image/jpeg;base64,{DATA}"},
            {"type": "input_image", "file_id": "file-1"},
        ]

    def test_documents(self) -> None:
        assert content(
            {"document": {"blob": {"uri": "https://a.example/a.pdf"}, "title": "A", "context": "old"}},
            {"document": {"blob": {"data": DATA, "filename": "b.pdf"}}},
            {"document": {"blob": {"fileId": "file-1"}}},
            {"document": {"text": "plain"}},
        ) == [
            {"type": "input_text", "text": "A"},
            {"type": "input_text", "text": "old"},
            {"type": "input_file", "file_url": "https://a.example/a.pdf"},
            {"type": "input_file", "filename": "b.pdf", "file_data": f"data:application/pdf;base64,{DATA}"},
            {"type": "input_file", "file_id": "file-1"},
            {"type": "input_text", "text": "plain"},
        ]

    @pytest.mark.parametrize("kind", ["audio", "video"])
    def test_what_it_does_not_take(self, kind: str) -> None:
        with pytest.raises(TrunklineError) as refused:
            items(user({kind: {"blob": {"data": DATA}}}))
        assert refused.value.reason is Reason.CAPABILITY_UNSUPPORTED

    def test_blocks_and_items_of_its_own_go_back(self) -> None:
        block = {"opaque": {"provider": "openai", "type": "input_song", "json": '{"type":"input_song"}'}}
        item = {"opaque": {"provider": "openai", "type": "mcp_approval_response", "json": '{"approve":true}'}}
        other = {"opaque": {"provider": "gemini", "type": "x", "json": "{}"}}
        assert items(user(block, item, other)) == [
            {"approve": True},
            {"role": "user", "content": [{"type": "input_song"}]},
        ]
        assert warned(asking({"messages": [user(text("Hi"), other)]})) == [
            (STATE_DROPPED, "input.messages[0].parts[1]")
        ]


class TestWhatTheModelSaid:
    def test_words_next_to_each_other_are_one_message(self) -> None:
        said = assistant(text("A"), {"refusal": {"text": "No"}}, {"audio": {"transcript": "B", "blob": {"data": DATA}}})
        (item,) = items(said)
        assert item == {
            "type": "message",
            "role": "assistant",
            "content": [
                {"type": "output_text", "text": "A"},
                {"type": "refusal", "refusal": "No"},
                {"type": "output_text", "text": "B"},
            ],
        }

    def test_phases_part_messages(self) -> None:
        said = assistant(text("A", **state(b"commentary")), text("B", **state(b"final_answer")), text("C"))
        assert [item.get("phase") for item in items(said)] == ["commentary", "final_answer", None]

    def test_thoughts(self) -> None:
        item = {"type": "reasoning", "id": "rs_1", "status": "completed", "summary": [], "encrypted_content": "c"}
        said = assistant({"reasoning": {"redacted": True}, **state(item)}, text("Hi"))
        assert items(said)[0] == {"type": "reasoning", "summary": [], "encrypted_content": "c"}
        for model in ("gpt-4o", "ft:gpt-4.1:me", "gpt-5-chat-latest", "chatgpt-4o-latest"):
            assert [item["type"] for item in items(said, model=model)] == ["message"]
            assert "include" not in body(asking({}, model))

    def test_thoughts_of_others_are_dropped(self) -> None:
        for part in ({"reasoning": {"text": "Hm"}}, {"reasoning": {"text": "Hm"}, **state(b"x", "anthropic")}):
            ask = asking({"messages": [assistant(part, text("Hi"))]})
            assert [item["type"] for item in body(ask)["input"]] == ["message"]
            assert [warning.code for warning in ask.warnings] == [STATE_DROPPED]

    def test_state_that_nobody_gave(self) -> None:
        with pytest.raises(TrunklineError) as refused:
            items(assistant({"reasoning": {}, **state(b"[1")}))
        assert refused.value.reason is Reason.VALIDATION

    def test_calls_and_results(self) -> None:
        assert items(
            assistant(call(), call("call_2", argumentsJson="")), tool(result(text("18"))), user(text("Hi"))
        ) == [
            {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"b":1,"a":2}'},
            {"type": "function_call", "call_id": "call_2", "name": "weather", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "call_1", "output": "18"},
            {"role": "user", "content": "Hi"},
        ]

    def test_a_call_keeps_its_words_where_its_state_is_of_others(self) -> None:
        ask = asking({"messages": [assistant({**call(), **state(b"x", "gemini")})]})
        assert [item["type"] for item in body(ask)["input"]] == ["function_call"]
        assert [warning.code for warning in ask.warnings] == [STATE_DROPPED]

    def test_calls_with_free_text(self) -> None:
        said = assistant({**call(argumentsJson="ls"), **state(b"custom")})
        assert items(said, tool(result(text("a.txt")))) == [
            {"type": "custom_tool_call", "call_id": "call_1", "name": "weather", "input": "ls"},
            {"type": "custom_tool_call_output", "call_id": "call_1", "output": "a.txt"},
        ]

    def test_results(self) -> None:
        picture = {"image": {"blob": {"uri": "https://a.example/a.png"}}}
        outputs = [
            item["output"]
            for item in items(
                assistant(call()),
                tool(
                    result(),
                    result(text("no"), isError=True),
                    result(picture, isError=True),
                    result(structuredJson='{"a":1}'),
                    result(text('{"a":1}'), structuredJson='{"a":1}'),
                ),
            )[1:]
        ]
        shown = {"type": "input_image", "image_url": "https://a.example/a.png"}
        assert outputs == ["", "Error: no", [{"type": "input_text", "text": "Error"}, shown], '{"a":1}', '{"a":1}']

    def test_what_a_tool_of_its_own_found_joins_its_call(self) -> None:
        search = {"type": "file_search_call", "id": "fs_1", "queries": ["a"]}
        drawn = {"type": "image_generation_call", "id": "ig_1"}
        found = {"provider": "openai", "type": "file_search_call.found", "json": '{"id":"fs_1","results":[1]}'}
        said = assistant(
            {**call("fs_1", executor="TOOL_EXECUTOR_PROVIDER"), **state(search)},
            {**call("ig_1", executor="TOOL_EXECUTOR_PROVIDER"), **state(drawn)},
            {"opaque": found},
            {"image": {"blob": {"data": DATA}}, **state(itemId="ig_1")},
        )
        assert items(said) == [{**search, "results": [1]}, {**drawn, "result": DATA}]

    def test_what_was_found_by_nobody_is_dropped(self) -> None:
        found = {"provider": "openai", "type": "file_search_call.found", "json": '{"id":"fs_1","results":[1]}'}
        foreign = {**call("s_1", executor="TOOL_EXECUTOR_PROVIDER"), **state(b"{}", "anthropic")}
        ask = asking({"messages": [assistant({"opaque": found}, foreign, text("Hi"))]})
        assert [item["type"] for item in body(ask)["input"]] == ["message"]
        assert [warning.code for warning in ask.warnings] == [STATE_DROPPED]

    def test_a_picture_of_others_cannot_be_shown(self) -> None:
        with pytest.raises(TrunklineError) as refused:
            items(assistant({"image": {"blob": {"data": DATA}}}))
        assert refused.value.reason is Reason.CAPABILITY_UNSUPPORTED

    @pytest.mark.parametrize(
        "item",
        [
            {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}},
            {"type": "code_interpreter_call", "id": "ci_1", "code": "1", "container_id": "c", "outputs": [{"a": 1}]},
            {"type": "mcp_call", "id": "m_1", "name": "find", "arguments": "{}", "output": "b", "error": None},
            {"type": "image_generation_call", "id": "ig_1", "result": DATA},
            {"type": "compaction", "id": "cmp_1", "encrypted_content": "c"},
            {"type": "computer_call", "id": "cu_1", "call_id": "call_1", "action": {"type": "screenshot"}},
        ],
    )
    def test_items_come_back_as_they_were(self, item: dict[str, Any]) -> None:
        response = json.dumps({"id": "r", "model": "gpt-5", "status": "completed", "output": [item]}).encode()
        answer = read(lambda answer: WIRE.decode_chat(asking({}), answer, "application/json"), [response])
        ask = asking({})
        ask.input.messages.add().CopyFrom(answer.candidates()[0].message)
        assert body(ask)["input"][1:] == [item]
        assert ask.warnings == []


class TestSettings:
    def test_sampling(self) -> None:
        sampling = {"temperature": 0.5, "topP": 0.9, "topLogprobs": 2, "candidateCount": 1}
        sent = body(asking({"sampling": sampling}, max_output_tokens=99, end_user="u", stream=True))
        assert (sent["temperature"], sent["top_p"], sent["top_logprobs"]) == (0.5, 0.9, 2)
        assert (sent["max_output_tokens"], sent["user"], sent["stream"]) == (99, "u", True)
        assert sent["include"] == ["reasoning.encrypted_content", "message.output_text.logprobs"]

    def test_what_it_cannot_take_is_dropped(self) -> None:
        sampling = {"topK": 3, "seed": 1, "candidateCount": 2, "stopSequences": ["x"], "presencePenalty": 1}
        ask = asking({"sampling": sampling})
        fields = ("top_k", "presence_penalty", "candidate_count", "seed", "stop_sequences")
        assert warned(ask) == [(DROPPED, f"input.sampling.{field}") for field in fields]
        sent = body(asking({"sampling": sampling}, end_user="u"), COMPATIBLE)
        assert (sent["top_k"], sent["presence_penalty"], "user" in sent) == (3, 1, False)
        with pytest.raises(TrunklineError) as refused:
            body(asking({"sampling": sampling, "strictParameters": True}))
        assert refused.value.reason is Reason.PARAMETER_UNSUPPORTED

    @pytest.mark.parametrize(
        ("wanted", "sent", "codes"),
        [
            ({"effort": "REASONING_EFFORT_LOW"}, {"effort": "low"}, []),
            ({"budgetTokens": 0}, {"effort": "none"}, [ADJUSTED]),
            ({"budgetTokens": 5000}, {"effort": "medium"}, [ADJUSTED]),
            ({"budgetTokens": 5000, "effort": "REASONING_EFFORT_HIGH"}, {"effort": "high"}, [DROPPED]),
            ({"includeText": True}, {"summary": "auto"}, []),
            ({"includeText": False}, None, []),
        ],
    )
    def test_reasoning(self, wanted: dict[str, Any], sent: object, codes: list[int]) -> None:
        ask = asking({"reasoning": wanted})
        assert body(ask).get("reasoning") == sent
        assert [warning.code for warning in ask.warnings] == codes

    def test_a_model_without_thoughts_cannot_show_them(self) -> None:
        assert warned(asking({"reasoning": {"includeText": True}}, "gpt-4o")) == [
            (DROPPED, "input.reasoning.include_text")
        ]

    def test_tools(self) -> None:
        schema = '{"type":"object","properties":{"b":{},"a":{}}}'
        question = {
            "tools": [
                {"function": {"name": "a", "description": "A", "parametersJsonSchema": schema, "strict": True}},
                {"function": {"name": "b"}},
                {"hosted": {"provider": "openai", "type": "web_search", "configJson": '{"filters":{"big":1e30}}'}},
                {"hosted": {"provider": "anthropic", "type": "web_search_1"}, "cacheHint": {}},
            ],
            "parallelToolCalls": False,
            "toolChoice": {"toolName": "a"},
        }
        ask = asking(question)
        raw = WIRE.encode_chat(ask).body
        assert schema.encode() in raw
        sent = json.loads(raw)
        empty = {"type": "object", "properties": {}}
        assert sent["tools"] == [
            {"type": "function", "name": "a", "description": "A", "parameters": json.loads(schema), "strict": True},
            {"type": "function", "name": "b", "parameters": empty, "strict": False},
            {"type": "web_search", "filters": {"big": 1e30}},
        ]
        assert (sent["tool_choice"], sent["parallel_tool_calls"]) == ({"type": "function", "name": "a"}, False)
        assert [warning.field for warning in ask.warnings] == ["input.tools[3].hosted", "input.tools[3].cache_hint"]

    @pytest.mark.parametrize("mode", ["auto", "none", "required"])
    def test_tool_choice(self, mode: str) -> None:
        question = {"tools": [{"function": {"name": "a"}}], "toolChoice": {"mode": f"TOOL_CHOICE_MODE_{mode.upper()}"}}
        assert body(asking(question))["tool_choice"] == mode

    def test_output_format(self) -> None:
        assert body(asking({"outputFormat": {"jsonObject": {}}}))["text"] == {"format": {"type": "json_object"}}
        wanted = {"jsonSchema": '{"type":"object"}', "description": "D", "strict": True}
        assert body(asking({"outputFormat": {"jsonSchema": wanted}}))["text"]["format"] == {
            "type": "json_schema",
            "name": "answer",
            "schema": {"type": "object"},
            "description": "D",
            "strict": True,
        }

    def test_options_come_last(self) -> None:
        options = {"text": {"verbosity": "low"}, "store": True, "include": ["file_search_call.results"]}
        sent = body(asking({"outputFormat": {"jsonObject": {}}}, options=options))
        assert sent["text"] == {"format": {"type": "json_object"}, "verbosity": "low"}
        assert sent["store"] is True
        assert sent["include"] == ["file_search_call.results", "reasoning.encrypted_content"]


def test_counting() -> None:
    question = {"sampling": {"seed": 1}, "tools": [{"function": {"name": "a"}}], "strictParameters": True}
    request = WIRE.encode_count(asking(question, max_output_tokens=9, end_user="u"))
    assert request is not None
    assert (request.method, request.path) == ("POST", "/responses/input_tokens")
    assert json.loads(request.body).keys() == {"model", "input", "tools"}
    assert COMPATIBLE.encode_count(asking({})) is None


def test_requests_say_what_they_expect() -> None:
    streamed, whole = (WIRE.encode_chat(asking({}, stream=stream)) for stream in (True, False))
    assert (streamed.path, streamed.headers["accept"]) == ("/responses", "text/event-stream")
    assert whole.headers["accept"] == "application/json"


def test_the_parts_of_a_tool_result_are_named_in_errors() -> None:
    with pytest.raises(TrunklineError) as refused:
        items(assistant(call()), tool(result({"audio": {"blob": {"data": DATA}}})))
    assert "input.messages[1].parts[0].tool_result.parts[0]" in str(refused.value.violations)
