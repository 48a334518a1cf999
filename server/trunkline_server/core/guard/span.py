"""A place in a text where something was found, and what finds it."""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

REACH: Final = 192
"""The longest thing that is looked for, in characters."""


class Span(NamedTuple):
    """`kind` names what it is: `EMAIL`, `CARD` ..."""

    start: int
    end: int
    kind: str


class Finder(Protocol):
    """Looks for one kind of thing, which `kind` names.

    What it says of a place depends on nothing but the `REACH` characters from there, the one before, and the two after.
    """

    @property
    def kind(self) -> str: ...

    @property
    def spans_words(self) -> bool:
        """It finds things with blanks in them that are no numbers."""

    @property
    def is_open(self) -> bool:
        """Nothing is known of how far it looks, so it is given one stretch of text at a time."""

    def find(self, text: str, start: int, end: int) -> Span | None:
        """The first thing that begins at `start` or later, in the text as far as `end`."""
