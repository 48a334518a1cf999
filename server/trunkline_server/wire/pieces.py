"""Cuts many texts into as many as a provider takes at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from trunkline_server.core.estimate import text_tokens


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may hold. `text_tokens_max`: a longer text is refused or cut there, so it never counts more."""

    texts_max: int = 2048
    tokens_max: int | None = None
    text_tokens_max: int = 8192

    def pieces(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """All texts in order, none empty; a text that is too long for a request has one of its own."""
        piece: list[str] = []
        room = self.tokens_max
        for text in texts:
            tokens = self._tokens(text)
            if piece and (len(piece) == self.texts_max or (room is not None and tokens > room)):
                yield piece
                piece, room = [], self.tokens_max
            piece.append(text)
            room = None if room is None else room - tokens
        if piece:
            yield piece

    def _tokens(self, text: str) -> int:
        return 0 if self.tokens_max is None else min(text_tokens(text), self.text_tokens_max)
