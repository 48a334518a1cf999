"""JSON through a screen: it means the same but for what was found, however it comes in pieces."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.guard.test_screen import cut_texts, passed
from trunkline_server.core.guard.json_stage import JsonStage
from trunkline_server.core.guard.personal import STANDARD
from trunkline_server.core.guard.screen import Screen
from trunkline_server.core.guard.vault import Restorer, Vault


def stage() -> JsonStage:
    return JsonStage(
        lambda: Screen(STANDARD, lambda kind, _: f"[{kind}]"), lambda: Screen(STANDARD, lambda kind, _: f'"[{kind}]"')
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (r'{"to": "\nann@example.org\t"}', {"to": "\n[EMAIL]\t"}),
        (r'{"to": "\u0061nn@example.org"}', {"to": "[EMAIL]"}),
        ('{"card": 4111111111111111, "n": 12.50}', {"card": "[CARD]", "n": 12.5}),
        ('{"ann@example.org": ["x", "\\"ann@example.org\\""]}', {"[EMAIL]": ["x", '"[EMAIL]"']}),
        (r'{"a": "\ud83d\ude00 é \/ \\"}', {"a": "\U0001f600 é / \\"}),
    ],
)
def test_strings_are_read_as_what_they_mean(text: str, told: object) -> None:
    assert json.loads(passed(stage(), [text])) == told
    assert json.loads(passed(stage(), list(text))) == told


def test_what_is_no_json_is_looked_through_too() -> None:
    assert passed(stage(), list("Sorry, ask ann@example.org.")) == 'Sorry, ask "[EMAIL]".'


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**6), 10**6)
    | cut_texts().map(lambda cut: cut[0])
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=40)
@given(value=_VALUES, ascii_only=st.booleans(), data=st.data())
def test_any_cut_gives_the_same_and_it_is_still_json(value: object, ascii_only: bool, data: st.DataObject) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "replace").decode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    whole = passed(stage(), [text])
    assert passed(stage(), pieces) == whole
    assert passed(stage(), list(text)) == whole
    json.loads(whole)


@settings(max_examples=40)
@given(value=_VALUES, ascii_only=st.booleans())
def test_masked_and_restored_means_the_same(value: object, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "replace").decode()
    vault = Vault()
    vault.avoid([text])
    masks = JsonStage(lambda: Screen(STANDARD, vault.mask), lambda: Screen(STANDARD, vault.mask))
    back = JsonStage(lambda: Restorer(vault), lambda: Restorer(vault))
    assert json.loads(passed(back, list(passed(masks, [text])))) == json.loads(text)
