"""Prompt templates: one pass, no logic."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures.gateway import user
from trunkline.v1 import prompts_pb2
from trunkline_server.core import prompt
from trunkline_server.core.errors import TrunklineError

STRING = prompts_pb2.PROMPT_VARIABLE_TYPE_STRING


def version(text: str, *declared: prompts_pb2.PromptVariable) -> prompts_pb2.PromptVersion:
    messages = [user(text)]
    return prompts_pb2.PromptVersion(messages=messages, variables=prompt.variables_of(messages, declared))


def rendered(text: str, *declared: prompts_pb2.PromptVariable, **values: str) -> str:
    (message,) = prompt.render(version(text, *declared), values, "variables")
    return message.parts[0].text.text


def refused(text: str, *declared: prompts_pb2.PromptVariable, **values: str) -> str:
    """The path of the field that is wrong."""
    with pytest.raises(TrunklineError) as caught:
        rendered(text, *declared, **values)
    return caught.value.violations[0].field


def variable(name: str, type: prompts_pb2.PromptVariableType.ValueType = STRING) -> prompts_pb2.PromptVariable:
    return prompts_pb2.PromptVariable(name=name, type=type)


def test_variables_are_put_in_their_places() -> None:
    assert rendered("{a} and {b}, {a} again", a="one", b="two") == "one and two, one again"
    assert rendered("no variables") == "no variables"
    assert rendered("{a}{b}", a="", b="") == ""


def test_braces_are_written_with_a_backslash() -> None:
    assert rendered(r"\{a\} is {a}, \n stays", a="1") == r"{a} is 1, \n stays"


@given(st.text(), st.text())
def test_a_value_goes_in_as_it_is_and_is_not_read_again(one: str, two: str) -> None:
    assert rendered("<{one}|{two}>", one=one, two=two) == f"<{one}|{two}>"


def test_a_value_brings_no_variable_with_it() -> None:
    assert rendered("{name} {secret}", name="{secret}", secret="s") == "{secret} s"
    assert rendered("{name}", name="{{secret}}") == "{{secret}}"


@given(st.text(alphabet="ab{}\\"))
def test_every_text_can_be_written(text: str) -> None:
    assert rendered(text.replace("{", r"\{").replace("}", r"\}")) == text


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__ }}",
        "{{ 'a'*300000000 }}",
        "{% for x in range(99999) %}{% for y in range(99999) %}{% endfor %}{% endfor %}",
        "{name",
        "name}",
        "{}",
        "{a.b}",
        "{a[0]}",
        "{a!r}",
        "{a:>99999999}",
        "{1}",
        "{ a }",
        "{{a}}",
        "{" + "a" * 65 + "}",
    ],
)
def test_what_looks_like_logic_is_refused(text: str) -> None:
    assert refused(text, a="1", name="1") == "messages[0].parts[0].text.text"


def test_variables_that_are_missing_or_unknown_are_named() -> None:
    assert refused("{a} {b}", a="1") == "variables['b']"
    assert refused("{a}", a="1", c="2") == "variables['c']"


def test_what_is_declared_must_be_there_and_only_once() -> None:
    assert refused("{a}", variable("b"), a="1") == "variables[0].name"
    assert refused("{a}", variable("a"), variable("a"), a="1") == "variables[1].name"


@pytest.mark.parametrize(
    ("type", "good", "bad"),
    [
        (prompts_pb2.PROMPT_VARIABLE_TYPE_NUMBER, ["0", "-1.5e3"], ["", "01", "NaN", "1 ", "0x1", "1" * 401, "१"]),
        (prompts_pb2.PROMPT_VARIABLE_TYPE_BOOLEAN, ["true", "false"], ["", "True", "1"]),
        (prompts_pb2.PROMPT_VARIABLE_TYPE_JSON, ["{}", '[1, "a"]'], ["", "{", "NaN", '{"a": 1, "a": 2}']),
    ],
)
def test_typed_variables(type: prompts_pb2.PromptVariableType.ValueType, good: list[str], bad: list[str]) -> None:
    for text in good:
        assert rendered("{a}", variable("a", type), a=text) == text
    for text in bad:
        assert refused("{a}", variable("a", type), a=text) == "variables['a']"


def test_choices() -> None:
    one_of = prompts_pb2.PromptVariable(
        name="a", type=prompts_pb2.PROMPT_VARIABLE_TYPE_ENUM, choices=["red", "blue"], default_value="red"
    )
    assert rendered("{a}", one_of) == "red"
    assert rendered("{a}", one_of, a="blue") == "blue"
    assert refused("{a}", one_of, a="green") == "variables['a']"
    one_of.default_value = "green"
    assert refused("{a}", one_of) == "variables[0].default_value"
    assert refused("{a}", prompts_pb2.PromptVariable(name="a", choices=["x"]), a="x") == "variables[0].choices"
    assert refused("{a}", variable("a", prompts_pb2.PROMPT_VARIABLE_TYPE_ENUM), a="x") == "variables[0].choices"


def test_a_default_may_be_empty() -> None:
    assert rendered("<{a}>", prompts_pb2.PromptVariable(name="a", default_value="")) == "<>"


def test_sizes_are_bounded_before_anything_is_made() -> None:
    assert refused("x" * (prompt.TEMPLATE_CHARS_MAX + 1)).startswith("messages[0]")
    assert refused("{a}" * 1000, a="x" * 5000) == "variables"
    assert refused("".join(f"{{v{n}}}" for n in range(201))) == "messages"


def test_a_long_template_is_read_in_one_pass() -> None:
    began = time.process_time()
    rendered(r"\{" * (prompt.TEMPLATE_CHARS_MAX // 2))
    assert time.process_time() - began < 5
