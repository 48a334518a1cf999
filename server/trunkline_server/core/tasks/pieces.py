"""Long texts in pieces: cut where the text pauses, so that the pieces, put together, are the text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from trunkline_server.core.estimate import text_tokens

_PAUSES: Final = tuple(map(re.compile, (r"(?<=\n\n)", r"(?<=\n)", r"(?<=[.!?])(?=\s)", r"(?<= )")))
"""Paragraphs, lines, sentences, words: each is tried where the one before leaves pieces that are too long."""


def cut(text: str, tokens_max: int) -> list[str]:
    """Pieces of about `tokens_max` tokens at most."""
    pieces: list[str] = []
    gathered: list[str] = []
    tokens = 0
    for unit in _units(text, max(tokens_max, 1), _PAUSES):
        more = text_tokens(unit)
        if gathered and tokens + more > tokens_max:
            pieces.append("".join(gathered))
            gathered, tokens = [], 0
        gathered.append(unit)
        tokens += more
    return [*pieces, "".join(gathered)] if gathered else pieces


def _units(text: str, tokens_max: int, pauses: Sequence[re.Pattern[str]]) -> Iterator[str]:
    if text_tokens(text) <= tokens_max:
        if text:
            yield text
    elif pauses:
        for part in pauses[0].split(text):
            yield from _units(part, tokens_max, pauses[1:])
    else:  # a word that fills a piece: no character makes more than two tokens
        size = max(tokens_max // 2, 1)
        yield from (text[start : start + size] for start in range(0, len(text), size))
