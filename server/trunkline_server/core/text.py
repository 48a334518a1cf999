"""Texts that are kept: names and reasons that callers choose freely, as long as they can be stored and read."""

from __future__ import annotations

import re
from typing import Final

from trunkline_server.core.errors import invalid

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def legible(text: str) -> str:
    """The text with marks in the place of control characters, for where it is only told of."""
    return _CONTROL.sub("\ufffd", text)


def readable(path: str, text: str) -> str:
    """The text of the field at `path`. Raises VALIDATION where it has control characters: PostgreSQL keeps no NUL."""
    if _CONTROL.search(text):
        raise invalid(path, "must not have control characters")
    return text
