"""Texts in chunks: none too long, nothing lost, the end of one at the beginning of the next."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline_server.core.collections.chunks import cut
from trunkline_server.core.estimate import text_tokens


def test_a_short_text_is_one_chunk() -> None:
    assert cut("  One sentence. And another.\n", 100, 10) == ["One sentence. And another."]


@pytest.mark.parametrize("text", ["", " ", "\n\n"])
def test_a_blank_text_has_none(text: str) -> None:
    assert cut(text, 100, 10) == []


def test_it_is_cut_where_a_sentence_ends() -> None:
    sentences = [f"Sentence {number} is here." for number in range(30)]
    chunks = cut(" ".join(sentences), 40, 0)
    assert len(chunks) > 3
    assert all(chunk.startswith("Sentence") and chunk.endswith("here.") for chunk in chunks)
    assert " ".join(chunks) == " ".join(sentences)


def test_the_next_one_begins_with_the_end_of_the_last() -> None:
    words = " ".join(f"word{number}" for number in range(300))
    chunks = cut(words, 60, 20)
    for before, after in itertools.pairwise(chunks):
        assert after.split()[0] in before.split()[1:]
        assert before.split()[-1] in after.split()


@given(st.text(max_size=2000), st.integers(16, 200), st.data())
def test_none_is_too_long_and_nothing_is_lost(text: str, chunk_tokens: int, data: st.DataObject) -> None:
    overlap_tokens = data.draw(st.integers(0, chunk_tokens // 2))
    chunks = cut(text, chunk_tokens, overlap_tokens)

    assert all(chunk.strip() and text_tokens(chunk) <= chunk_tokens for chunk in chunks)
    rest = text
    if not overlap_tokens:
        assert "".join("".join(chunks).split()) == "".join(rest.split())
    else:
        assert set("".join(chunks)) >= set("".join(text.split()))
