"""JSON that callers hand over as text: read strictly, so that every program that reads it later sees the same value."""

from __future__ import annotations

import json
from typing import Final

import orjson

from trunkline_server.core.errors import invalid

DEPTH_MAX: Final = 64
DIGITS_MAX: Final = 4300
"""Longest number; the limit of Python's own integers."""


def check(text: str, path: str) -> object:
    """The value in `text`. Raises VALIDATION at `path` for what some reader could not read, or would read otherwise."""
    try:
        value = orjson.loads(text)
    except ValueError:
        raise invalid(path, "is not JSON (NaN, infinite numbers and lone surrogates are not either)") from None
    if text.count("{") + text.count("[") > DEPTH_MAX:
        _check_depth(value, path)
    _check_twice(text, path)
    return value


def check_object(text: str, path: str) -> dict[str, object]:
    """The object in `text`; as `check`."""
    value = check(text, path)
    if not isinstance(value, dict):
        raise invalid(path, "is not a JSON object")
    return value


def _check_depth(value: object, path: str) -> None:
    """Level by level, so that no depth can exhaust the stack."""
    level = [value]
    for _ in range(DEPTH_MAX):
        level = [child for each in level for child in _children(each)]
        if not level:
            return
    raise invalid(path, f"is nested deeper than {DEPTH_MAX} levels")


def _children(value: object) -> list[object]:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [child for child in children if isinstance(child, dict | list)]


def _check_twice(text: str, path: str) -> None:
    """A second reading by a slower parser, which shows the keys and digits that the first one drops."""
    try:
        _PAIRS.decode(text)
    except _RepeatedKeyError:
        raise invalid(path, "has the same key twice in one object") from None
    except ValueError:
        raise invalid(path, f"has a number of more than {DIGITS_MAX} digits") from None


class _RepeatedKeyError(Exception):
    """Two members of one object have one name."""


def _unique(pairs: list[tuple[str, object]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        raise _RepeatedKeyError


def _short(number: str) -> None:
    if len(number) > DIGITS_MAX:
        raise ValueError(number[:1])


_PAIRS: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_short, parse_int=_short)
