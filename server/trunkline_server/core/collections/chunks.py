"""Texts cut into chunks: at the ends of sentences where that is possible, else between words, else anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from trunkline_server.core.estimate import text_tokens

CHARS_PER_12_TOKENS: Final = 5
"""Of what has most tokens to a character: so many never have more than twelve."""

_SENTENCE: Final = re.compile(r"[^.!?\n]*(?:[.!?\n]+\s*|$)")
_WORD: Final = re.compile(r"\s*\S+\s*")


def cut(text: str, chunk_tokens: int, overlap_tokens: int) -> list[str]:
    """Chunks of at most so many tokens, none blank; each begins with the end of the one before."""
    chunks: list[str] = []
    held, new = "", 0
    for unit in _units(text, chunk_tokens):
        if new and text_tokens(held + unit) > chunk_tokens:
            chunks.append(held.strip())
            held, new = _tail(held, overlap_tokens), 0
            if text_tokens(held + unit) > chunk_tokens:
                held = ""
        held, new = held + unit, new + 1
    if new:
        chunks.append(held.strip())
    return [chunk for chunk in chunks if chunk]


def _units(text: str, limit: int) -> Iterator[str]:
    """Sentences; where one is too long its words, and where one of these is too long pieces of it."""
    for sentence in _SENTENCE.findall(text):
        if text_tokens(sentence) <= limit:
            yield sentence
            continue
        for word in _WORD.findall(sentence):
            yield from (word,) if text_tokens(word) <= limit else _pieces(word, limit)


def _pieces(word: str, limit: int) -> Iterator[str]:
    step = max(1, limit * CHARS_PER_12_TOKENS // 12)
    return (word[start : start + step] for start in range(0, len(word), step))


def _tail(text: str, limit: int) -> str:
    """The last words of a text, of at most so many tokens."""
    words = _WORD.findall(text)
    start = len(words)
    while start and text_tokens("".join(words[start - 1 :])) <= limit:
        start -= 1
    return "".join(words[start:])
