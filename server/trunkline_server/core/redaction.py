"""Keeps secrets out of what is written down: by the names of fields, and by what keys and tokens look like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import re2

HIDDEN: Final = "***"

_SECRET_NAMES: Final = re2.compile(
    r"(?i)authorization|cookie|passw|secret|token|api[_-]?key|pepper|credential|private[_-]?key|signature"
)
_NAMED: Final = re2.compile(
    r"((?i:\b(?:bearer|basic) +|\b[a-z_-]*(?:api[_-]?key|passw(?:or)?d|secret|token|signature|\bkey)=))[^\s&\"',;]{6,}"
)
"""A word that says that a secret follows, and the secret."""
_ADDRESSED: Final = re2.compile(r"(://[^/\s:@\"]*:)[^/\s@\"]+@")
"""A password in an address."""
_SHAPED: Final = (
    r"\btl_[a-z0-9]{1,16}_[0-9A-Za-z]{12}_[0-9A-Za-z_]+"
    r"|\btlb_[0-9A-Za-z_-]{16,}\.[0-9A-Za-z_-]+"
    r"|\bwhsec_[A-Za-z0-9+/=]{16,}"
    r"|\b(?:sk|rk|gsk|xai|hf|r8|pplx|nvapi|fw|csk|gh[pousr])[-_][A-Za-z0-9_-]{16,}"
    r"|\bAIza[0-9A-Za-z_-]{30,}"
    r"|\bAKIA[0-9A-Z]{16}\b"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"
)
"""Keys of ours and of providers, secrets of webhooks, JSON web tokens."""
_SHAPED_TEXT, _SHAPED_BYTES = re2.compile(_SHAPED), re2.compile(_SHAPED.encode())


def text(value: str) -> str:
    """Free text, such as the message of a library."""
    named = _NAMED.sub(rf"\1{HIDDEN}", _ADDRESSED.sub(rf"\1{HIDDEN}@", value))
    shaped: str = _SHAPED_TEXT.sub(HIDDEN, named)
    return shaped


def lines(data: bytes) -> bytes:
    """Lines whose fields we have named ourselves: what a caller could choose of them may look like a secret."""
    shaped: bytes = _SHAPED_BYTES.sub(HIDDEN.encode(), data)
    return shaped


def fields(given: Mapping[str, object]) -> dict[str, Any]:
    """By name and by look. Numbers hide nothing."""
    return {name: _field(name, value) for name, value in given.items()}


def _field(name: str, value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    return HIDDEN if _SECRET_NAMES.search(name) else text(str(value))
