"""Text that is safe to show: what models and other people wrote must not steer the terminal."""

from __future__ import annotations

import sys

_CONTROLS = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}


def plain(text: str) -> str:
    """The text without control characters, escape sequences thereby broken; new lines and tabs stay."""
    return text.translate(_CONTROLS)


def one_line(text: str) -> str:
    """The same, on one line."""
    return " ".join(plain(text).split())


def shown(text: str) -> str:
    """As it is for a file or another program, plain for a terminal."""
    return plain(text) if sys.stdout.isatty() else text
