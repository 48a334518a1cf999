"""What stands for what in one call: values are masked by placeholders, and come back where those come back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_PLACEHOLDER: Final = re.compile(r"\[[A-Z][A-Z0-9_]{0,31}_\d{1,7}\]")
_BEGUN: Final = re.compile(r"\[(?:[A-Z][A-Z0-9_]{0,38})?\Z")


class Vault:
    """The same value gets the same placeholder. Numbers go up in the order of the text, past those that stand there."""

    __slots__ = ("_counts", "_placeholders", "_taken", "_values")

    def __init__(self) -> None:
        self._values: dict[str, str] = {}
        self._placeholders: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}
        self._taken: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._values)

    def avoid(self, texts: Iterable[str]) -> None:
        """What looks like a placeholder there is none."""
        for text in texts:
            self._taken.update(_PLACEHOLDER.findall(text))

    def mask(self, kind: str, value: str) -> str:
        known = self._placeholders.get((kind, value))
        return known or self._new(kind, value)

    def restore(self, placeholder: str) -> str:
        """The value behind it, or itself."""
        return self._values.get(placeholder, placeholder)

    def _new(self, kind: str, value: str) -> str:
        while True:
            number = self._counts[kind] = self._counts.get(kind, 0) + 1
            placeholder = f"[{kind}_{number}]"
            if placeholder not in self._taken:
                self._values[placeholder] = value
                self._placeholders[kind, value] = placeholder
                return placeholder


class Restorer:
    """Puts the values back into a text that grows; holds back what may become a placeholder."""

    __slots__ = ("_held", "_vault")

    blocked = False

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._held = ""

    def feed(self, text: str) -> str:
        held = self._held + text
        begun = _BEGUN.search(held)
        cut = begun.start() if begun else len(held)
        self._held = held[cut:]
        return self._restored(held[:cut])

    def close(self) -> str:
        held, self._held = self._held, ""
        return self._restored(held)

    def _restored(self, text: str) -> str:
        return _PLACEHOLDER.sub(lambda match: self._vault.restore(match[0]), text)
