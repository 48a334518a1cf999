"""The models that we know: read once, checked whole, never changed. New data means a new catalogue."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Final

import msgspec

from trunkline_server.core.clause import Clause, names
from trunkline_server.core.model import ModelEntry

# Names come from callers, so what is remembered about them is bounded.
NAMES_REMEMBERED: Final = 4096


class CatalogueError(ValueError):
    """A file of models and prices that cannot be used."""


class _Shelf:
    """The models of one provider: names that are spelled out are looked up, patterns are tried in their order."""

    __slots__ = ("patterns", "spelled")

    def __init__(self) -> None:
        self.spelled: dict[str, ModelEntry] = {}
        self.patterns: list[tuple[Clause, ModelEntry]] = []

    def put(self, entry: ModelEntry) -> None:
        spelled, patterns = names(entry.clause)
        for name in spelled:
            self.spelled.setdefault(name, entry)
        self.patterns += [(pattern, entry) for pattern in patterns]

    def find(self, model: str) -> ModelEntry | None:
        if model in self.spelled:
            return self.spelled[model]
        return next((entry for pattern, entry in self.patterns if pattern.matches(model)), None)


class Catalogue:
    """Finds models by name. `overrides` are the operator's own entries: they win over the entries of the files."""

    def __init__(self, entries: Iterable[ModelEntry], overrides: Iterable[ModelEntry] = ()) -> None:
        seed, own = _by_name(entries), _by_name(overrides)
        self._own, self._seed = _shelves(own.values()), _shelves(seed.values())
        listed = [entry for entry in (seed | own).values() if not entry.is_any]
        self._listing = tuple(sorted(listed, key=lambda entry: (entry.provider, entry.model)))
        self.find: Callable[[str, str], ModelEntry | None] = lru_cache(NAMES_REMEMBERED)(self._find)

    @classmethod
    def load(cls, files: Iterable[bytes], overrides: Iterable[ModelEntry] = ()) -> Catalogue:
        """A catalogue from whole files of models; raises CatalogueError, which says what is wrong and where."""
        return cls([entry for file in files for entry in read_entries(file)], overrides)

    @property
    def providers(self) -> frozenset[str]:
        """The providers that have models here."""
        return frozenset(self._own) | frozenset(self._seed)

    def candidates(self, name: str, enabled: Sequence[str]) -> list[tuple[str, str]]:
        """Which (provider, model) a caller's name means, first choice first.

        `provider/model` where its first segment is a provider, switched on or not, means nothing else. Any other name:
        the enabled providers that have it, or else the first one that takes every name.
        """
        provider, _, model = name.partition("/")
        if model and (provider in enabled or provider in self.providers):
            return [(provider, model)]
        having = [(each, entry) for each in enabled if (entry := self.find(each, name))]
        return [(each, name) for each, entry in having if not entry.is_any] or [(each, name) for each, _ in having[:1]]

    def listing(self, provider: str | None = None) -> Sequence[ModelEntry]:
        """The models by provider and name; entries that stand for every name are left out."""
        return [each for each in self._listing if each.provider == provider] if provider else self._listing

    def _find(self, provider: str, model: str) -> ModelEntry | None:
        shelves = (self._own.get(provider), self._seed.get(provider))
        return next((entry for shelf in shelves if shelf and (entry := shelf.find(model))), None)


def read_entries(file: bytes) -> list[ModelEntry]:
    """The models in a file, in its order."""
    try:
        entries = _DECODER.decode(file)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise CatalogueError(f"the file of models cannot be used: {error}") from error
    if not entries:
        raise CatalogueError("the file of models cannot be used: it has no models")
    return entries


def _by_name(entries: Iterable[ModelEntry]) -> dict[str, ModelEntry]:
    named: dict[str, ModelEntry] = {}
    for entry in entries:
        if named.setdefault(entry.name, entry) is not entry:
            raise CatalogueError(f"the model {entry.name!r} is there twice")
    return named


def _shelves(entries: Iterable[ModelEntry]) -> dict[str, _Shelf]:
    shelves: defaultdict[str, _Shelf] = defaultdict(_Shelf)
    for entry in entries:
        shelves[entry.provider].put(entry)
    return dict(shelves)


_DECODER: Final = msgspec.json.Decoder(list[ModelEntry])
