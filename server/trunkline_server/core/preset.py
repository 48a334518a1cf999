"""Presets: what is set for a purpose, in one word, where nobody says otherwise."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
from msgspec import Struct


class Preset(Struct, frozen=True, forbid_unknown_fields=True):
    """Settings as the file of settings spells them, and the keys that whoever takes it must set."""

    about: str
    settings: dict[str, Any]
    needs: tuple[str, ...] = ()
    like: str = ""


@cache
def presets() -> dict[str, Preset]:
    """Those of `data/presets.toml`, by name, whole."""
    text = files("trunkline_server").joinpath("data", "presets.toml").read_text("utf-8")
    told = msgspec.toml.decode(text, type=dict[str, Preset])
    return {name: _whole(preset, told) for name, preset in told.items()}


def lay_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Tables are put together, of other values the upper one counts. Neither is changed."""
    both = {key: (below[key], above[key]) for key in below.keys() & above.keys()}
    tables = {key: lay_over(*pair) for key, pair in both.items() if all(isinstance(each, dict) for each in pair)}
    return below | above | tables


def _whole(preset: Preset, told: dict[str, Preset]) -> Preset:
    if not preset.like:
        return preset
    first = _whole(told[preset.like], told)
    return msgspec.structs.replace(
        preset, settings=lay_over(first.settings, preset.settings), needs=(*first.needs, *preset.needs)
    )
