"""Texts that run on over several fields: what stands in some of them is found, wherever it begins and ends."""

from __future__ import annotations

import pytest

from trunkline.v1 import guard_pb2
from trunkline_server.core.guard.answered_texts import replaced
from trunkline_server.core.guard.policy import Standing

STRICT = guard_pb2.GuardRule(harm=guard_pb2.GUARD_LEVEL_STRICT, personal_data=guard_pb2.GUARD_LEVEL_STRICT)
ARMED = Standing(guard_pb2.GuardPolicy(guard=guard_pb2.Guard(output=STRICT))).armed


def told(*texts: str, refused: str = "") -> list[str] | None:
    assert ARMED is not None
    assert ARMED.answer is not None
    return replaced(texts, ARMED.answer.finders, lambda kind, _: None if kind == refused else f"[{kind}]")


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ((), []),
        (("", ""), ["", ""]),
        (("fine", "words"), ["fine", "words"]),
        (("mail ann@example.org", "ann@example.org or bob@example.org!"), ["mail [EMAIL]", "[EMAIL] or [EMAIL]!"]),
        (("it is 4111 1111", "1111 1111, and"), ["it is [CARD]", ", and"]),
        (("4111", "1111", "1111", "1111"), ["[CARD]", "", "", ""]),
        (("\ue000 ann@example.org \ue000", "\ue000"), ["\ue000 [EMAIL] \ue000", "\ue000"]),
        (("a" * 1000 + " ann@example.org", "b" * 1000), ["a" * 1000 + " [EMAIL]", "b" * 1000]),
    ],
)
def test_what_goes_across_texts_is_named_in_the_first(texts: tuple[str, ...], expected: list[str]) -> None:
    assert told(*texts) == expected


def test_one_that_is_refused_withholds_all() -> None:
    assert told("fine", "ann@example.org", refused="EMAIL") is None
