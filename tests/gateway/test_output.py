"""Whether an answer is in the form that was asked for: which ones are judged, what is told, what is asked next."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core.answer import Answer
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.gateway.output import Output

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
STOP = chat_pb2.FINISH_REASON_STOP


def question(schema: Any = None) -> chat_pb2.ChatInput:
    asked = content_pb2.Message(role=content_pb2.ROLE_USER)
    asked.parts.add().text.text = "Where?"
    input = chat_pb2.ChatInput(model="m", messages=[asked])
    if schema is None:
        input.output_format.json_object.SetInParent()
    else:
        input.output_format.json_schema.json_schema = json.dumps(schema)
    return input


def answer(*texts: str, reason: chat_pb2.FinishReason.ValueType = STOP) -> Answer:
    said = Answer(streaming=False)
    for candidate, text in enumerate(texts):
        said.text(text, candidate)
        said.finish(reason, "", candidate=candidate)
    return said


def test_without_a_format_anything_goes() -> None:
    output = Output(chat_pb2.ChatInput(model="m"))
    assert output.faults(answer("anything")) == []
    output.require(answer("anything"))


@pytest.mark.parametrize("text", ['{"city": "Ulm"}', ' {"city": "Ulm", "more": [1]}\n'])
def test_what_meets_the_format(text: str) -> None:
    for input in (question(), question(CITY)):
        assert Output(input).faults(answer(text)) == []
        Output(input).require(answer(text))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "$: is not JSON"),
        ("Ulm.", "$: is not JSON"),
        ('{"city": "Ulm"} as you wished', "$: is not JSON"),
        ('{"city": "Ul', "$: is not JSON"),
        ('```json\n{"city": "Ulm"}\n```', "$: is wrapped in a code fence"),
        ('\n```\n{"city": "Ulm"}\n```', "$: is wrapped in a code fence"),
    ],
)
def test_what_is_not_json(text: str, fault: str) -> None:
    for input in (question(), question(CITY)):
        assert Output(input).faults(answer(text)) == [fault]


def test_an_object_is_an_object() -> None:
    assert Output(question()).faults(answer("[1]")) == ["$: is not a JSON object"]


def test_a_schema_is_met() -> None:
    assert Output(question(CITY)).faults(answer('{"city": 1}')) == ["$.city: breaks the rule 'type'"]


def test_every_answer_is_judged() -> None:
    assert Output(question(CITY)).faults(answer('{"city": "Ulm"}', "{}")) != []


@pytest.mark.parametrize("reason", [STOP, chat_pb2.FINISH_REASON_STOP_SEQUENCE])
def test_answers_that_the_model_ended_are_judged(reason: chat_pb2.FinishReason.ValueType) -> None:
    assert Output(question()).faults(answer("x", reason=reason)) != []


@pytest.mark.parametrize(
    "reason", sorted(set(chat_pb2.FinishReason.values()) - {STOP, chat_pb2.FINISH_REASON_STOP_SEQUENCE})
)
def test_answers_that_ended_otherwise_are_not(reason: chat_pb2.FinishReason.ValueType) -> None:
    assert Output(question(CITY)).faults(answer('{"ci', reason=reason)) == []


def test_tool_calls_and_refusals_are_not_judged() -> None:
    calls = Answer(streaming=False)
    calls.text("Let me see.")
    calls.tool_call(0, "c", "f")
    calls.arguments(0, "{}")
    calls.finish(STOP, "")
    refuses = Answer(streaming=False)
    refuses.refusal("No.")
    refuses.finish(STOP, "")
    assert Output(question(CITY)).faults(calls) == Output(question(CITY)).faults(refuses) == []


def test_thoughts_are_no_part_of_the_answer() -> None:
    said = Answer(streaming=False)
    said.reasoning("Hm.")
    said.text('{"city":')
    said.reasoning("Ulm?")
    said.text('"Ulm"}')
    said.finish(STOP, "")
    assert Output(question(CITY)).faults(said) == []


def test_tells_the_rule_and_no_word_of_the_answer() -> None:
    with pytest.raises(TrunklineError) as caught:
        Output(question(CITY)).require(answer('{"city": 12345}'))
    assert caught.value.reason is Reason.OUTPUT_INVALID
    assert "'type'" in caught.value.message
    assert "12345" not in caught.value.message


def test_asks_again_with_the_answer_and_its_faults() -> None:
    input = question(CITY)
    before = input.SerializeToString()
    again = Output(input).repair(input, answer('{"city": "Ulm"}', "{}"))
    assert input.SerializeToString() == before
    asked, said, request = again.messages
    assert asked == input.messages[0]
    assert (said.role, said.parts[0].text.text) == (content_pb2.ROLE_ASSISTANT, "{}")
    assert request.role == content_pb2.ROLE_USER
    assert "- $: breaks the rule 'required' ('city' is missing)" in request.parts[0].text.text
    del again.messages[1:]
    assert again == input


def test_asks_again_when_nothing_was_said() -> None:
    empty = Answer(streaming=False)
    empty.finish(STOP, "")
    again = Output(question()).repair(question(), empty)
    assert [message.role for message in again.messages] == [content_pb2.ROLE_USER, content_pb2.ROLE_USER]


def test_a_wrong_schema_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(TrunklineError) as caught:
        Output(question({"type": "nonsense"}))
    assert caught.value.reason is Reason.VALIDATION
