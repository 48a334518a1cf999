"""How servers that speak the dialect tell prices in their lists of models. All of them mean US dollars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

import msgspec

from trunkline_server.core.offered import tokens
from trunkline_server.core.told_price import Figures, ImplausibleError

Fields: TypeAlias = Mapping[str, msgspec.Raw]

CENTS_PER_100_MILLION: Final = 5
"""A scale."""

NONE: Final = msgspec.Raw(b"0")

_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MORE: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_COUNT: Final = msgspec.json.Decoder(int)


@dataclass(frozen=True)
class PriceList:
    """`units` are its words for ours, `scale` the power of ten that makes its figures nano-USD for 1,000,000.

    `folders` lead to its figures within the entry of a model: the first that is there. `unread` are figures that say
    nothing which a call could be billed by. Figures for long inputs stand in `overrides`, or beside the others with
    `long_suffix`, and `long_field` then says from how many tokens on they count. `by_host`: each of those whom a call
    can be passed on to has figures of its own.
    """

    units: Mapping[str, str]
    scale: int
    folders: tuple[tuple[str, ...], ...] = (("pricing",),)
    long_field: str = ""
    long_suffix: str = ""
    unread: frozenset[str] = frozenset()
    by_host: bool = False

    def read(self, entry: bytes) -> dict[int, Figures]:
        """The figures, by the input tokens where they begin to count. Raises ImplausibleError."""
        try:
            return {start: self._figures(fields) for start, fields in self._parts(_FIELDS.decode(entry))}
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise ImplausibleError("it cannot be read") from None

    def _parts(self, entry: Fields) -> Iterator[tuple[int, Fields]]:
        fields = next((found for folder in self.folders if (found := _within(entry, folder))), {})
        yield 0, fields
        if (start := fields.get(self.long_field, NONE)) != NONE:
            ending = self.long_suffix
            yield _tokens(start), {name.removesuffix(ending): fields[name] for name in fields if name.endswith(ending)}
        for override in _MORE.decode(fields.get("overrides", b"[]")):
            if override.keys() - self.units.keys() - self.unread != {"min_prompt_tokens"}:
                # what counts by the hour is no price that a bill could be made with
                raise ImplausibleError("it depends on more than the length of the input")
            yield _tokens(override["min_prompt_tokens"]), override

    def _figures(self, fields: Fields) -> Figures:
        told = ((self.units[name], bytes(value).decode()) for name, value in fields.items() if name in self.units)
        return {unit: figure for unit, figure in told if figure != "null"}


def _tokens(told: msgspec.Raw) -> int:
    count = tokens(_COUNT.decode(told))
    if not count:
        raise ImplausibleError("it begins at no number of tokens")
    return count


def _within(entry: Fields, folder: tuple[str, ...]) -> Fields | None:
    for name in folder:
        if name not in entry or bytes(entry[name]) == b"null":
            return None
        entry = _FIELDS.decode(entry[name])
    return entry


PER_TOKEN: Final = PriceList(
    MappingProxyType(
        {
            "prompt": "input",
            "input": "input",
            "completion": "output",
            "output": "output",
            "input_cache_read": "cached_input",
            "input_cache_write": "cache_write",
            "input_cache_write_1h": "cache_write_1h",
            "internal_reasoning": "reasoning",
            "audio": "input_audio",
            "input_audio_cache": "cached_audio",
            "audio_output": "output_audio",
            "image_output": "output_image",
            "request": "request",
            "web_search": "searches",
        }
    ),
    scale=15,
    unread=frozenset({"image", "image_token"}),
)
PER_MILLION: Final = PriceList(
    MappingProxyType(
        {
            "input": "input",
            "input_tokens": "input",
            "output": "output",
            "output_tokens": "output",
            "cached_input": "cached_input",
            "cache_read": "cached_input",
            "cache_read_tokens": "cached_input",
            "cache_write": "cache_write",
            "cache_write_tokens": "cache_write",
        }
    ),
    scale=9,
    folders=(("pricing",), ("metadata", "pricing")),
)
