"""Datasets: what is wrong where, whatever the pieces; and what was said, as a line of one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trunkline.v1 import content_pb2
from trunkline_server.core.tuning.dataset import FAULTS_MAX, Dataset
from trunkline_server.core.tuning.example import line_of
from trunkline_server.core.tuning.rules import Rules
from trunkline_server.core.tuning.size import epochs_for

USER = {"role": "user", "content": "hello"}
ANSWER = {"role": "assistant", "content": "world"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def look(*lines: bytes, rules: Rules | None = None) -> Dataset:
    dataset = Dataset(rules or Rules())
    for line in lines:
        dataset.feed(line)
    dataset.close()
    return dataset


def faults(dataset: Dataset) -> list[tuple[int, str]]:
    return [(fault.line, fault.field) for fault in dataset.faults]


def spelled(*messages: Any, **more: Any) -> bytes:
    return json.dumps({"messages": messages} | more).encode()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (spelled(USER, ANSWER), []),
        (spelled({"role": "system", "content": "be brief"}, USER, {**ANSWER, "weight": 0}, USER, ANSWER), []),
        (
            spelled(
                USER,
                {"role": "assistant", "tool_calls": [CALL]},
                {**USER, "role": "tool", "tool_call_id": "c1"},
                ANSWER,
                tools=[],
            ),
            [],
        ),
        (spelled({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}, ANSWER), []),
        (b"", [""]),
        (b"{", [""]),
        (b"[]", [""]),
        (b"[" * 100_000, [""]),
        (b"\xff", [""]),
        (b"{}", ["messages"]),
        (spelled(), ["messages"]),
        (spelled(USER, ANSWER, secret="x"), [""]),
        (spelled(USER), ["messages"]),
        (spelled(ANSWER, USER), ["messages"]),
        (spelled(USER, {**ANSWER, "weight": 0}), ["messages"]),
        (spelled({**USER, "role": "robot"}, ANSWER), ["messages[0].role"]),
        (spelled({**USER, "role": ["user"]}, ANSWER), ["messages[0].role"]),
        (spelled({**USER, "content": ""}, ANSWER), ["messages[0].content"]),
        (spelled({**USER, "content": [{"type": "audio"}]}, ANSWER), ["messages[0].content"]),
        (spelled(7, ANSWER), ["messages[0]"]),
        (spelled(USER, {**ANSWER, "weight": 2}), ["messages[1].weight"]),
        (spelled(USER, {"role": "assistant", "tool_calls": [{"id": "c1"}]}), ["messages[1].tool_calls[0]"]),
        (spelled(USER, {"role": "assistant", "tool_calls": []}), ["messages[1].tool_calls"]),
        (spelled(USER, {**USER, "role": "tool", "tool_call_id": "c9"}, ANSWER), ["messages[1].tool_call_id"]),
        (spelled({**USER, "content": "word " * 5000}, ANSWER), [""]),
    ],
)
def test_every_fault_has_its_line_and_place(line: bytes, expected: list[str]) -> None:
    data = spelled(USER, ANSWER) + b"\n" + line + b"\n" + spelled(USER, ANSWER)
    dataset = look(data, rules=Rules(tokens_max=2000))
    assert faults(dataset) == [(2, field) for field in expected]
    assert dataset.example_count == 3
    assert not any("secret" in fault.description or "robot" in fault.description for fault in dataset.faults)


def test_it_is_the_same_wherever_it_is_cut() -> None:
    data = spelled(USER, ANSWER) + b"\n{\n" + spelled(USER, ANSWER) + b"\n"
    whole = look(data)
    for place in range(len(data)):
        cut = look(data[:place], data[place:])
        assert (faults(cut), cut.example_count, cut.token_count) == (faults(whole), 3, whole.token_count)


def test_it_wants_so_many_examples_and_tells_the_first_faults_only() -> None:
    assert faults(look(spelled(USER, ANSWER), rules=Rules(examples_min=2))) == [(0, "")]
    many = look(b"{\n" * (FAULTS_MAX + 5))
    assert (len(many.faults), many.fault_count) == (FAULTS_MAX, FAULTS_MAX + 5)


@pytest.mark.parametrize(("count", "epochs"), [(1, 25), (10, 10), (33, 3), (34, 3), (5000, 3), (20_000, 1)])
def test_few_examples_are_gone_through_more_often(count: int, epochs: int) -> None:
    assert epochs_for(count) == epochs


def message(role: content_pb2.Role.ValueType, *parts: content_pb2.Part) -> content_pb2.Message:
    return content_pb2.Message(role=role, parts=parts)


def text(words: str) -> content_pb2.Part:
    return content_pb2.Part(text=content_pb2.TextPart(text=words))


def test_what_was_said_is_a_line_up_to_the_last_answer() -> None:
    call = content_pb2.ToolCallPart(call_id="c1", name="f", arguments_json='{"a": 1}')
    result = content_pb2.ToolResultPart(call_id="c1", parts=[text("42")])
    said = [
        message(content_pb2.ROLE_DEVELOPER, text("be brief")),
        message(content_pb2.ROLE_USER, text("what is it")),
        message(
            content_pb2.ROLE_ASSISTANT,
            content_pb2.Part(reasoning=content_pb2.ReasoningPart(text="hm")),
            content_pb2.Part(tool_call=call),
        ),
        message(content_pb2.ROLE_TOOL, content_pb2.Part(tool_result=result)),
        message(content_pb2.ROLE_ASSISTANT, text("it is "), text("42")),
        message(content_pb2.ROLE_USER, text("thanks")),
    ]
    function = content_pb2.FunctionTool(name="f", parameters_json_schema='{"type": "object"}')
    line = line_of(said, [content_pb2.Tool(function=function)])
    assert line is not None
    example = json.loads(line)
    assert [each["role"] for each in example["messages"]] == ["system", "user", "assistant", "tool", "assistant"]
    assert example["messages"][2]["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"a": 1}'}
    assert example["messages"][4]["content"] == "it is 42"
    assert example["tools"][0]["function"]["parameters"] == {"type": "object"}
    assert look(line).fault_count == 0


def test_what_is_no_example() -> None:
    question, answer = message(content_pb2.ROLE_USER, text("a")), message(content_pb2.ROLE_ASSISTANT, text("b"))
    picture = message(content_pb2.ROLE_USER, content_pb2.Part(image=content_pb2.ImagePart()))
    assert line_of([question]) is None
    assert line_of([picture, answer]) is None
    assert line_of([question, answer], [content_pb2.Tool(tool_id="add")]) is None
    assert line_of([question, answer]) is not None
