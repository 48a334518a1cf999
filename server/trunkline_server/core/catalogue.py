"""The models that we know: read once, checked whole, never changed. New data means a new catalogue."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final

import msgspec

from trunkline_server.core.clause import Clause, names
from trunkline_server.core.learned import NOTHING, Learned
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
    """Finds models by name. `overrides` are the operator's own entries: they win over the entries of the files.

    What was `learned` adds models and prices to both. A model that is only offered takes what a pattern says of it.
    """

    def __init__(
        self, entries: Iterable[ModelEntry], overrides: Iterable[ModelEntry] = (), learned: Learned = NOTHING
    ) -> None:
        self._entries, self._overrides = tuple(entries), tuple(overrides)
        seed, own = _by_name(map(learned.priced, self._entries)), _by_name(map(learned.priced, self._overrides))
        self._shelves = [_shelves(own.values()), _shelves(seed.values())]
        more = {entry.name: entry for entry in self._more(learned) if entry.name not in seed.keys() | own.keys()}
        self._shelves.insert(0, _shelves(more.values()))
        listed = [entry for entry in (seed | own | more).values() if not entry.is_any]
        self._listing = tuple(sorted(listed, key=lambda entry: (entry.provider, entry.model)))
        self._changes = sorted({price.effective_time for entry in (*listed, *own.values()) for price in entry.prices})
        self.aliases: Mapping[str, Sequence[str]] = learned.aliases
        self.find: Callable[[str, str], ModelEntry | None] = lru_cache(NAMES_REMEMBERED)(self._find)

    @classmethod
    def load(cls, files: Iterable[bytes], overrides: Iterable[ModelEntry] = ()) -> Catalogue:
        """A catalogue from whole files of models; raises CatalogueError, which says what is wrong and where."""
        return cls([entry for file in files for entry in read_entries(file)], overrides)

    def with_learned(self, learned: Learned) -> Catalogue:
        """The same files and overrides with what was learned since. Raises CatalogueError."""
        return Catalogue(self._entries, self._overrides, learned)

    @property
    def providers(self) -> frozenset[str]:
        """The providers that have models here."""
        return frozenset().union(*self._shelves)

    def candidates(self, name: str, enabled: Sequence[str]) -> list[tuple[str, str]]:
        """Which (provider, model) a caller's name means: none or one.

        `provider/model` where its first segment is a provider, switched on or not: a name that says where it wants to
        go goes nowhere else. Any other name: the first enabled provider that has it, one without a price later, one
        that takes every name last.
        """
        provider, _, model = name.partition("/")
        if model and (provider in enabled or provider in self.providers):
            return [(provider, model)]
        having = [(each, entry) for each in enabled if (entry := self.find(each, name))]
        return [(each, name) for each, _ in sorted(having, key=lambda pair: _rank(pair[1]))][:1]

    def next_change(self, moment: datetime) -> datetime | None:
        """When the next price begins to count; None where none is known."""
        place = bisect_right(self._changes, moment)
        return self._changes[place] if place < len(self._changes) else None

    def listing(self, provider: str | None = None) -> Sequence[ModelEntry]:
        """The models by provider and name; entries that stand for every name are left out."""
        return [each for each in self._listing if each.provider == provider] if provider else self._listing

    def _find(self, provider: str, model: str) -> ModelEntry | None:
        shelves = (each.get(provider) for each in self._shelves)
        return next((entry for shelf in shelves if shelf and (entry := shelf.find(model))), None)

    def _more(self, learned: Learned) -> Iterator[ModelEntry]:
        """Models that have no entry of their own: those that are offered, and those that were only given a price."""
        offers = {offer.name: offer for offer in learned.offers}
        for name in offers.keys() | learned.prices.keys():
            provider, _, model = name.partition("/")
            offer = offers.get(name) or ModelEntry(provider, model)
            yield learned.priced(_described(offer, self._find(provider, model)))


def read_entries(file: bytes) -> list[ModelEntry]:
    """The models in a file, in its order."""
    try:
        entries = _DECODER.decode(file)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise CatalogueError(f"the file of models cannot be used: {error}") from error
    if not entries:
        raise CatalogueError("the file of models cannot be used: it has no models")
    return entries


def _rank(entry: ModelEntry) -> tuple[bool, bool]:
    """Who gets a bare name: what a provider merely offers must not take it from a model that can be charged."""
    return entry.is_any, not entry.prices


def _described(offer: ModelEntry, known: ModelEntry | None) -> ModelEntry:
    """An offer, with what the entry that took its name until now says where the offer is silent."""
    if known is None:
        return offer
    return msgspec.structs.replace(
        offer,
        context_window=offer.context_window or known.context_window,
        max_output_tokens=offer.max_output_tokens or known.max_output_tokens,
        prices=known.prices,
    )


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
