"""Ids tell their kind and their age, and have one spelling."""

from __future__ import annotations

import time
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline_server.core import ids


def test_new_ids_are_version_7_and_differ() -> None:
    made = [ids.new_uuid() for _ in range(1000)]
    assert {(each.version, each.variant) for each in made} == {(7, RFC_4122)}
    assert len(set(made)) == 1000


def test_new_ids_begin_with_the_time() -> None:
    before_ms = time.time_ns() // 1_000_000
    made_ms = ids.new_uuid().int >> 80
    assert before_ms <= made_ms <= time.time_ns() // 1_000_000


def test_later_ids_sort_behind_earlier_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    moments_ns = [1_000_000 * ms for ms in (1, 2, 10, 1_700_000_000_000, 1_700_000_000_001)]
    made = []
    for moment_ns in moments_ns:
        monkeypatch.setattr(time, "time_ns", lambda moment_ns=moment_ns: moment_ns)
        made.append(ids.spell("job", ids.new_uuid()))
    assert made == sorted(made)


@given(st.uuids(), st.sampled_from(["cmpl", "job", "vector_store"]))
def test_a_spelled_id_is_read_back(id_: UUID, prefix: str) -> None:
    assert ids.parse(prefix, ids.spell(prefix, id_)) == id_


@given(st.text())
def test_what_is_read_is_spelled_the_same(text: str) -> None:
    id_ = ids.parse("cmpl", text)
    assert id_ is None or ids.spell("cmpl", id_) == text


DIGITS = "018f" + "0a" * 14


@pytest.mark.parametrize(
    "text",
    [
        *("", "cmpl", "cmpl_", DIGITS, f"job_{DIGITS}", f"cmpl{DIGITS}", f"CMPL_{DIGITS}", f" cmpl_{DIGITS}"),
        *(f"cmpl_{DIGITS}\n", f"cmpl_{DIGITS}0", f"cmpl_{DIGITS[:-1]}", f"cmpl_cmpl_{DIGITS}", f"cmpl_{UUID(DIGITS)}"),
        *(f"cmpl_{DIGITS.upper()}", "cmpl_" + "g" * 32, "cmpl_" + "٣" * 32, f"cmpl_{{{DIGITS[:-2]}}}"),
    ],
)
def test_anything_else_is_no_id(text: str) -> None:
    assert ids.parse("cmpl", text) is None
