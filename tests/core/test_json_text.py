"""JSON of callers: what every reader reads alike passes, anything else is refused, in time and memory by size."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.core.json_text import DEPTH_MAX, DIGITS_MAX, check, check_object

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
REFUSED = {
    "nothing": "",
    "half an object": '{"a":',
    "two values": "{} {}",
    "not a number": "[NaN]",
    "infinite": "[Infinity]",
    "too large for a double": "[1e400]",
    "the same key twice": '{"a": 1, "b": {"c": 2, "c": 3}}',
    "the same key, spelled differently": '{"a": 1, "\\u0061": 2}',
    "lone surrogate, escaped": '"\\ud800"',
    "lone surrogate, as it is": '"\ud800"',
    "a number without end": "1" * 10_000_000,
    "a fraction without end": "0." + "1" * (DIGITS_MAX + 1),
    "deep lists": "[" * 100_000,
    "deep lists that end": "[" * 900 + "]" * 900,
    "deep objects": '{"a":' * (DEPTH_MAX + 1) + "1" + "}" * (DEPTH_MAX + 1),
    "comments": "{} // x",
    "single quotes": "{'a': 1}",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_refuses_what_readers_disagree_about(text: str) -> None:
    began = time.monotonic()
    with pytest.raises(TrunklineError) as caught:
        check(text, "input.x")
    assert caught.value.reason is Reason.VALIDATION
    assert [violation.field for violation in caught.value.violations] == ["input.x"]
    assert len(caught.value.message) < 200
    assert time.monotonic() - began < 2


@given(VALUES)
def test_reads_what_json_writes(value: object) -> None:
    assert check(json.dumps(value), "input.x") == json.loads(json.dumps(value))


def test_the_deepest_that_passes() -> None:
    text = '{"a":' * DEPTH_MAX + "1" + "}" * DEPTH_MAX
    assert json.dumps(check(text, "input.x"), separators=(",", ":")) == text


def test_width_is_not_depth() -> None:
    assert check("[" + ",".join(["[]"] * 10_000) + "]", "input.x") == [[]] * 10_000


def test_large_numbers_within_a_double_pass() -> None:
    assert check("[123456789012345678901234567890, 1e-400]", "input.x") == [123456789012345678901234567890.0, 0.0]


@pytest.mark.parametrize("text", ["[]", "null", '"{}"', "1"])
def test_an_object_is_an_object(text: str) -> None:
    with pytest.raises(TrunklineError, match=r"input\.x: is not a JSON object"):
        check_object(text, "input.x")
    assert check_object('{"a": [1]}', "input.x") == {"a": [1]}


def test_takes_time_by_size_alone() -> None:
    text = "[" + ",".join(['{"key":"some words","n":1.5}'] * 40_000) + "]"
    began = time.process_time()
    check(text, "input.x")
    assert time.process_time() - began < 2
