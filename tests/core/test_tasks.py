"""Texts in pieces: put together they are the text, and each is short enough."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trunkline_server.core.estimate import text_tokens
from trunkline_server.core.tasks.pieces import cut

TEXTS = st.text(alphabet=st.sampled_from("ab .!?\n\té漢"), max_size=400) | st.text(max_size=200)


@given(text=TEXTS, tokens_max=st.integers(4, 60))
def test_pieces_are_the_text_and_are_short(text: str, tokens_max: int) -> None:
    pieces = cut(text, tokens_max)
    assert "".join(pieces) == text
    assert all(pieces)
    assert all(text_tokens(piece) <= tokens_max + len(piece) // 4 + 4 for piece in pieces)


def test_a_text_is_cut_where_it_pauses() -> None:
    paragraph = "One sentence here. Another one there."
    assert cut(f"{paragraph}\n\n{paragraph}", 14) == [f"{paragraph}\n\n", paragraph]
    assert cut(paragraph, 8) == ["One sentence here.", " Another one there."]


def test_a_word_without_an_end_is_cut_too() -> None:
    pieces = cut("x" * 1000, 50)
    assert len(pieces) > 10
    assert max(map(text_tokens, pieces)) <= 60


def test_a_short_text_is_one_piece() -> None:
    assert cut("hello there", 100) == ["hello there"]
