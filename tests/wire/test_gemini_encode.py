"""The generateContent dialect: how questions are spelled, and the side questions."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.wire.parts import ADJUSTED, ASSISTANT, DROPPED, STATE_DROPPED, SYSTEM, TOOL, USER, call, result, says, text
from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.ask import Ask
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.failure import UpstreamFailure
from trunkline_server.wire.gemini import Gemini

WIRE = Gemini()
EARLY, NEW, NEW_LARGE = "gemini-2.5-flash", "gemini-3-flash-preview", "gemini-3.1-pro-preview"


def image(detail: content_pb2.MediaDetail.ValueType = content_pb2.MEDIA_DETAIL_UNSPECIFIED) -> content_pb2.Part:
    return content_pb2.Part(image=content_pb2.ImagePart(blob=blob("image/png"), detail=detail))


def blob(media_type: str) -> content_pb2.Blob:
    return content_pb2.Blob(data=b"\xfb\xff\xfe", media_type=media_type)


def signed(signature: str = "sig", provider: str = "gemini") -> content_pb2.ProviderState:
    return state({"thoughtSignature": signature}, provider)


def state(fields: Any, provider: str = "gemini") -> content_pb2.ProviderState:
    return content_pb2.ProviderState(provider=provider, data=json.dumps(fields).encode())


def asked(model: str = EARLY, cap: int | None = None, *, stream: bool = False, **question: Any) -> Ask:
    question.setdefault("messages", [says(USER, text("hi"))])
    return Ask("gemini", model, chat_pb2.ChatInput(**question), stream=stream, max_output_tokens=cap)


def spelled(ask: Ask) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(WIRE.encode_chat(ask).body)
    return body


def contents(*messages: content_pb2.Message, model: str = EARLY) -> Any:
    return spelled(asked(model, messages=messages))["contents"]


def parts(*own: content_pb2.Part, role: content_pb2.Role.ValueType = USER, model: str = EARLY) -> Any:
    (content,) = contents(says(role, *own), model=model)
    return content["parts"]


def config(ask: Ask) -> Any:
    return spelled(ask)["generationConfig"]


def codes(ask: Ask) -> list[chat_pb2.WarningCode.ValueType]:
    return [warning.code for warning in ask.warnings]


# Where a question goes.


def test_streams_ask_for_events() -> None:
    request = WIRE.encode_chat(asked(stream=True))
    assert (request.method, request.path) == (
        "POST",
        "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
    )
    assert request.headers["accept"] == "text/event-stream"


def test_whole_answers_do_not() -> None:
    request = WIRE.encode_chat(asked("tunedModels/mine-1"))
    assert request.path == "/v1beta/tunedModels/mine-1:generateContent"
    assert request.headers["accept"] == "application/json"


@pytest.mark.parametrize(
    "model",
    ["", ".", "..", "../x", "a/b", "models/../x", "models/", "a:countTokens", "a?b", "a#b", "a%2fb", "a b", "a\n", "ä"],
)
def test_names_that_could_leave_the_path_are_no_models(model: str) -> None:
    with pytest.raises(TrunklineError) as caught:
        WIRE.encode_chat(asked(model))
    assert caught.value.reason == Reason.MODEL_NOT_FOUND


def test_counts_the_whole_question() -> None:
    request = WIRE.encode_count(asked(messages=[says(SYSTEM, text("be short")), says(USER, text("hi"))]))
    question = json.loads(request.body)["generateContentRequest"]
    assert request.path == "/v1beta/models/gemini-2.5-flash:countTokens"
    assert question["model"] == "models/gemini-2.5-flash"
    assert question["systemInstruction"] == {"parts": [{"text": "be short"}]}
    assert WIRE.decode_count(b'{"totalTokens": 31, "promptTokensDetails": []}') == 31


def test_lists_models_that_answer_chat_or_make_vectors() -> None:
    models = [
        {"name": "models/gemini-2.5-flash", "supportedGenerationMethods": ["generateContent", "countTokens"]},
        {"name": "models/text-embedding-004", "supportedGenerationMethods": ["embedContent"]},
        {"name": "models/imagen", "supportedGenerationMethods": ["predict"]},
        {"name": "models/untold"},
    ]
    assert WIRE.encode_models().path == "/v1beta/models?pageSize=1000"
    assert [each.name for each in WIRE.decode_models(json.dumps({"models": models}).encode())] == [
        *("gemini-2.5-flash", "text-embedding-004", "untold")
    ]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"models": [{"name": 3}]}', b"<html>"])
def test_lists_that_cannot_be_read_are_broken(body: bytes) -> None:
    with pytest.raises(UpstreamFailure, match="BROKEN"):
        WIRE.decode_models(body)


# What a question says.


def test_instructions_stand_apart() -> None:
    body = spelled(
        asked(messages=[says(SYSTEM, text("a"), text("b")), says(USER, text("hi")), says(ASSISTANT, text("yo"))])
    )
    assert body == {
        "systemInstruction": {"parts": [{"text": "a"}, {"text": "b"}]},
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}, {"role": "model", "parts": [{"text": "yo"}]}],
    }


def test_late_instructions_are_moved_and_told() -> None:
    ask = asked(messages=[says(USER, text("hi")), says(SYSTEM, text("now"))])
    assert spelled(ask)["systemInstruction"] == {"parts": [{"text": "now"}]}
    assert [(warning.code, warning.field) for warning in ask.warnings] == [(ADJUSTED, "input.messages[1].role")]


def test_instructions_are_text() -> None:
    ask = asked(messages=[says(SYSTEM, image()), says(USER, text("hi"))])
    assert "systemInstruction" not in spelled(ask)
    assert codes(ask) == [DROPPED]


ENCODED = base64.b64encode(b"\xfb\xff\xfe").decode()


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (text("hi"), {"text": "hi"}),
        (content_pb2.Part(refusal=content_pb2.RefusalPart(text="no")), {"text": "no"}),
        (image(), {"inlineData": {"mimeType": "image/png", "data": ENCODED}}),
        (
            content_pb2.Part(audio=content_pb2.AudioPart(blob=blob("audio/wav"))),
            {"inlineData": {"mimeType": "audio/wav", "data": ENCODED}},
        ),
        (
            content_pb2.Part(video=content_pb2.VideoPart(blob=content_pb2.Blob(uri="https://a.example/v"))),
            {"fileData": {"fileUri": "https://a.example/v"}},
        ),
        (
            content_pb2.Part(
                document=content_pb2.DocumentPart(blob=content_pb2.Blob(file_id="files/x", media_type="a/b"))
            ),
            {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/x", "mimeType": "a/b"}},
        ),
        (
            content_pb2.Part(image=content_pb2.ImagePart(blob=content_pb2.Blob(file_id="https://g.example/files/y"))),
            {"fileData": {"fileUri": "https://g.example/files/y"}},
        ),
        (content_pb2.Part(document=content_pb2.DocumentPart(text="plain")), {"text": "plain"}),
        (
            content_pb2.Part(
                opaque=content_pb2.OpaquePart(provider="gemini", type="x", json='{"x": 12345678901234567890}')
            ),
            {"x": 12345678901234567890},
        ),
        (
            result(structured_json='{"a": 1}', name="f"),
            {"functionResponse": {"id": "c1", "name": "f", "response": {"a": 1}}},
        ),
    ],
)
def test_parts_are_spelled(part: content_pb2.Part, block: Any) -> None:
    assert parts(part) == [block]


def test_bytes_without_a_media_type_are_refused() -> None:
    ask = asked(messages=[says(USER, content_pb2.Part(image=content_pb2.ImagePart(blob=content_pb2.Blob(data=b"x"))))])
    with pytest.raises(TrunklineError) as caught:
        spelled(ask)
    assert caught.value.reason == Reason.MEDIA_INVALID
    assert caught.value.violations[0].field == "input.messages[0].parts[0].image.blob.media_type"


@pytest.mark.parametrize("host", ["generativelanguage.googleapis.com", "GenerativeLanguage.googleapis.com.:443"])
def test_what_the_provider_keeps_is_named_by_its_id(host: str) -> None:
    blob = content_pb2.Blob(uri=f"https://{host}/v1/files/x")
    with pytest.raises(TrunklineError) as caught:
        parts(content_pb2.Part(document=content_pb2.DocumentPart(blob=blob)))
    assert caught.value.violations[0].field == "input.messages[0].parts[0].document.blob.uri"


def test_titles_stand_before_documents() -> None:
    document = content_pb2.DocumentPart(text="body", title="Title", context="from the archive")
    assert parts(content_pb2.Part(document=document)) == [
        {"text": "Title"},
        {"text": "from the archive"},
        {"text": "body"},
    ]


def test_arguments_keep_their_own_text() -> None:
    body = WIRE.encode_chat(
        asked(messages=[says(ASSISTANT, call(arguments_json='{"z":12345678901234567890, "a":1.0}'))])
    ).body
    assert b'"args":{"z":12345678901234567890, "a":1.0}' in body


def test_results_made_side_by_side_stand_in_one_turn() -> None:
    called = says(ASSISTANT, call("c1"), call("c2"))
    told = contents(called, says(TOOL, result("c1", parts=[text("1")])), says(TOOL, result("c2", parts=[text("2")])))
    assert [content["role"] for content in told] == ["model", "user"]
    assert [part["functionResponse"] for part in told[1]["parts"]] == [
        {"id": "c1", "name": "add", "response": {"output": "1"}},
        {"id": "c2", "name": "add", "response": {"output": "2"}},
    ]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, {"output": ""}),
        ({"parts": [text("a"), text("b")]}, {"output": ["a", "b"]}),
        ({"parts": [text("boom")], "is_error": True}, {"error": "boom"}),
        ({"structured_json": "[1, 2]"}, {"output": [1, 2]}),
        ({"structured_json": '{"a": 1}'}, {"a": 1}),
        ({"structured_json": '{"a": 1}', "is_error": True}, {"error": {"a": 1}}),
        ({"structured_json": '{"a": 1}', "parts": [text("one")]}, {"output": {"a": 1}, "text": "one"}),
    ],
)
def test_results_are_objects(fields: Any, told: Any) -> None:
    (block,) = parts(result(name="f", **fields), role=TOOL)
    assert block["functionResponse"]["response"] == told


def test_pictures_of_results_stand_inside_or_for_early_models_behind() -> None:
    picture = {"inlineData": {"mimeType": "image/png", "data": ENCODED}}
    own = (result("c1", name="f", parts=[image(), text("see")]), result("c2", name="f"))
    inside, _ = parts(*own, role=TOOL, model=NEW)
    assert inside["functionResponse"]["parts"] == [picture]
    assert inside["functionResponse"]["response"] == {"output": "see"}
    first, second, behind = parts(*own, role=TOOL, model=EARLY)
    assert ("functionResponse" in first, "functionResponse" in second, behind) == (True, True, picture)


# The provider's own state.


def test_signatures_go_back_where_they_came_from() -> None:
    thought = content_pb2.Part(reasoning=content_pb2.ReasoningPart(text="hm"), provider_state=signed("a"))
    own = (thought, text("hi", provider_state=signed("b")), call(state=signed("c")))
    assert parts(*own, role=ASSISTANT) == [
        {"text": "hm", "thought": True, "thoughtSignature": "a"},
        {"text": "hi", "thoughtSignature": "b"},
        {"functionCall": {"id": "c1", "name": "add", "args": {}}, "thoughtSignature": "c"},
    ]


def test_signatures_that_came_alone_go_back_alone() -> None:
    alone = {"text": "", "thoughtSignature": "a"}
    assert parts(text("hi", provider_state=state(alone)), role=ASSISTANT) == [{"text": "hi"}, alone]
    assert parts(text("", provider_state=state(alone)), role=ASSISTANT) == [alone]


def test_state_of_another_provider_is_left_out_and_told_once() -> None:
    foreign = signed("x", "anthropic")
    thought = content_pb2.Part(reasoning=content_pb2.ReasoningPart(text="hm"), provider_state=foreign)
    block = content_pb2.Part(opaque=content_pb2.OpaquePart(provider="anthropic", json="{}"))
    searched = call("s1", foreign, executor=content_pb2.TOOL_EXECUTOR_PROVIDER)
    bare = call("s2", executor=content_pb2.TOOL_EXECUTOR_PROVIDER)
    ask = asked(messages=[says(ASSISTANT, thought, block, searched, bare, text("hi", provider_state=foreign))])
    assert spelled(ask)["contents"] == [{"role": "model", "parts": [{"text": "hi"}]}]
    assert codes(ask) == [STATE_DROPPED]


def test_turns_of_which_nothing_is_left_are_left_out() -> None:
    block = content_pb2.Part(opaque=content_pb2.OpaquePart(provider="anthropic", json="{}"))
    assert contents(says(ASSISTANT, block), says(USER, text("hi"))) == [{"role": "user", "parts": [{"text": "hi"}]}]


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff"])
def test_state_that_the_provider_never_gave_is_refused(data: bytes) -> None:
    own = content_pb2.ProviderState(provider="gemini", data=data)
    for part in (text("hi", provider_state=own), call(state=own, executor=content_pb2.TOOL_EXECUTOR_PROVIDER)):
        with pytest.raises(TrunklineError) as caught:
            spelled(asked(messages=[says(ASSISTANT, part)]))
        assert caught.value.violations[0].field == "input.messages[0].parts[0].provider_state.data"


@pytest.mark.parametrize(
    ("model", "own", "signatures"),
    [
        (NEW, (call("c1"), call("c2")), ["skip_thought_signature_validator", None]),
        (NEW, (call("c1", signed("a")), call("c2")), ["a", None]),
        (EARLY, (call("c1"), call("c2")), [None, None]),
    ],
)
def test_calls_of_other_models_are_excused_from_signing(model: str, own: Any, signatures: Any) -> None:
    assert [part.get("thoughtSignature") for part in parts(*own, role=ASSISTANT, model=model)] == signatures


def test_what_only_answers_have_is_not_sent_back() -> None:
    note = content_pb2.Part(opaque=content_pb2.OpaquePart(provider="gemini", type="groundingMetadata", json='{"a":1}'))
    ask = asked(messages=[says(ASSISTANT, text("hi"), note)])
    assert spelled(ask)["contents"][0]["parts"] == [{"text": "hi"}]
    assert not ask.warnings


# How the answer is to be made.


def test_sampling_is_spelled() -> None:
    sampling = chat_pb2.Sampling(
        temperature=0, top_p=0.5, top_k=7, frequency_penalty=0.25, presence_penalty=-0.5, candidate_count=2,
        top_logprobs=3, seed=42, stop_sequences=["END"],
    )  # fmt: skip
    assert config(asked(cap=100, sampling=sampling)) == {
        "temperature": 0,
        "topP": 0.5,
        "topK": 7,
        "frequencyPenalty": 0.25,
        "presencePenalty": -0.5,
        "candidateCount": 2,
        "responseLogprobs": True,
        "logprobs": 3,
        "seed": 42,
        "stopSequences": ["END"],
        "maxOutputTokens": 100,
    }


def test_nothing_set_is_nothing_said() -> None:
    assert "generationConfig" not in spelled(asked())


@pytest.mark.parametrize(
    ("sampling", "told"),
    [
        (chat_pb2.Sampling(seed=2**40 + 5), {"seed": (2**40 + 5) % (2**31 - 1)}),
        (chat_pb2.Sampling(stop_sequences=list("abcdef")), {"stopSequences": list("abcde")}),
    ],
)
def test_values_out_of_range_are_adjusted_or_refused(sampling: chat_pb2.Sampling, told: Any) -> None:
    ask = asked(sampling=sampling)
    assert config(ask) == told
    assert codes(ask) == [ADJUSTED]
    with pytest.raises(TrunklineError) as caught:
        spelled(asked(sampling=sampling, strict_parameters=True))
    assert caught.value.reason == Reason.PARAMETER_UNSUPPORTED


@pytest.mark.parametrize(
    ("model", "effort", "told", "warned"),
    [
        (EARLY, "NONE", {"thinkingBudget": 0}, []),
        (EARLY, "MINIMAL", {"thinkingBudget": 512}, []),
        (EARLY, "HIGH", {"thinkingBudget": 24576}, []),
        (f"models/{EARLY}", "LOW", {"thinkingBudget": 1024}, []),
        ("gemini-2.5-pro", "NONE", {"thinkingBudget": 128}, [ADJUSTED]),
        (NEW, "NONE", {"thinkingLevel": "minimal"}, [ADJUSTED]),
        (NEW, "MINIMAL", {"thinkingLevel": "minimal"}, []),
        (NEW, "MEDIUM", {"thinkingLevel": "medium"}, []),
        (NEW_LARGE, "MINIMAL", {"thinkingLevel": "low"}, [ADJUSTED]),
        (NEW_LARGE, "HIGH", {"thinkingLevel": "high"}, []),
    ],
)
def test_effort_becomes_a_budget_or_a_level(model: str, effort: str, told: Any, warned: Any) -> None:
    reasoning = chat_pb2.Reasoning(effort=chat_pb2.ReasoningEffort.Value(f"REASONING_EFFORT_{effort}"))
    ask = asked(model, reasoning=reasoning)
    assert config(ask) == {"thinkingConfig": told}
    assert codes(ask) == warned


def test_a_budget_goes_before_an_effort() -> None:
    reasoning = chat_pb2.Reasoning(effort=chat_pb2.REASONING_EFFORT_HIGH, budget_tokens=7, include_text=True)
    ask = asked(NEW, reasoning=reasoning)
    assert config(ask) == {"thinkingConfig": {"thinkingBudget": 7, "includeThoughts": True}}
    assert codes(ask) == [DROPPED]


def test_formats_are_spelled() -> None:
    schema = content_pb2.JsonSchemaFormat(name="n", json_schema='{"type":"object","title":1}')
    told = config(asked(output_format=content_pb2.OutputFormat(json_schema=schema)))
    assert told == {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object", "title": 1}}
    any_object = content_pb2.OutputFormat(json_object=content_pb2.JsonObjectFormat())
    assert config(asked(output_format=any_object)) == {"responseMimeType": "application/json"}


def test_pictures_are_looked_at_in_one_detail() -> None:
    low, high = image(content_pb2.MEDIA_DETAIL_LOW), image(content_pb2.MEDIA_DETAIL_HIGH)
    assert config(asked(messages=[says(USER, low)])) == {"mediaResolution": "MEDIA_RESOLUTION_LOW"}
    ask = asked(messages=[says(USER, low, high)])
    assert config(ask) == {"mediaResolution": "MEDIA_RESOLUTION_HIGH"}
    assert codes(ask) == [ADJUSTED]


# Tools.


def function(name: str, schema: str = "", *, strict: bool | None = None) -> content_pb2.Tool:
    declared = content_pb2.FunctionTool(name=name, description="d", parameters_json_schema=schema, strict=strict)
    return content_pb2.Tool(function=declared)


def hosted(type_: str, config_json: str = "", provider: str = "gemini") -> content_pb2.Tool:
    return content_pb2.Tool(hosted=content_pb2.HostedTool(provider=provider, type=type_, config_json=config_json))


def test_functions_stand_together_and_hosted_tools_alone() -> None:
    tools = [
        hosted("google_search"),
        function("f", '{"type":"object"}'),
        hosted("fileSearch", '{"a":[1]}'),
        function("g"),
    ]
    assert spelled(asked(tools=tools))["tools"] == [
        {"google_search": {}},
        {
            "functionDeclarations": [
                {"name": "f", "description": "d", "parametersJsonSchema": {"type": "object"}},
                {"name": "g", "description": "d"},
            ]
        },
        {"fileSearch": {"a": [1]}},
    ]


def test_tools_of_other_providers_are_dropped() -> None:
    ask = asked(tools=[hosted("web_search_20250305", provider="anthropic")])
    assert "tools" not in spelled(ask)
    assert [(warning.code, warning.field) for warning in ask.warnings] == [(DROPPED, "input.tools[0]")]


@pytest.mark.parametrize(
    ("choice", "strict", "told"),
    [
        (None, None, None),
        (None, True, {"mode": "VALIDATED"}),
        ({"mode": content_pb2.TOOL_CHOICE_MODE_AUTO}, None, {"mode": "AUTO"}),
        ({"mode": content_pb2.TOOL_CHOICE_MODE_AUTO}, True, {"mode": "VALIDATED"}),
        ({"mode": content_pb2.TOOL_CHOICE_MODE_NONE}, True, {"mode": "NONE"}),
        ({"mode": content_pb2.TOOL_CHOICE_MODE_REQUIRED}, None, {"mode": "ANY"}),
        ({"tool_name": "f"}, None, {"mode": "ANY", "allowedFunctionNames": ["f"]}),
    ],
)
def test_choices_are_spelled(choice: Any, strict: bool | None, told: Any) -> None:
    chosen = content_pb2.ToolChoice(**choice) if choice else None
    body = spelled(asked(tools=[function("f", strict=strict)], tool_choice=chosen))
    assert body.get("toolConfig") == (None if told is None else {"functionCallingConfig": told})


@pytest.mark.parametrize(
    ("question", "field"),
    [
        ({"parallel_tool_calls": False, "tools": [function("f")]}, "input.parallel_tool_calls"),
        ({"messages": [content_pb2.Message(role=USER, name="al", parts=[text("hi")])]}, "input.messages[0].name"),
        (
            {"messages": [says(USER, text("hi", cache_hint=content_pb2.CacheHint()))]},
            "input.messages[0].parts[0].cache_hint",
        ),
        (
            {
                "tools": [
                    content_pb2.Tool(function=content_pb2.FunctionTool(name="f"), cache_hint=content_pb2.CacheHint())
                ]
            },
            "input.tools[0].cache_hint",
        ),
        (
            {"messages": [says(USER, content_pb2.Part(audio=content_pb2.AudioPart(blob=blob("a/b"), transcript="x")))]},
            "input.messages[0].parts[0].audio.transcript",
        ),
        (
            {
                "output_format": content_pb2.OutputFormat(
                    json_schema=content_pb2.JsonSchemaFormat(description="d", json_schema="{}")
                )
            },
            "input.output_format.json_schema.description",
        ),
    ],
)
def test_what_has_no_place_is_dropped_or_refused(question: Any, field: str) -> None:
    ask = asked(**question)
    spelled(ask)
    assert [(warning.code, warning.field) for warning in ask.warnings] == [(DROPPED, field)]
    with pytest.raises(TrunklineError) as caught:
        spelled(asked(strict_parameters=True, **question))
    assert (caught.value.reason, caught.value.violations[0].field) == (Reason.PARAMETER_UNSUPPORTED, field)


def test_options_come_last() -> None:
    ask = asked(cap=5)
    ask.options = {
        "cachedContent": "cachedContents/x",
        "generationConfig": {"maxOutputTokens": 6, "audioTimestamp": True},
    }
    body = spelled(ask)
    assert body["cachedContent"] == "cachedContents/x"
    assert body["generationConfig"] == {"maxOutputTokens": 6, "audioTimestamp": True}
