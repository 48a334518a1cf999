"""Documents of a collection, and what a search finds in them, as plain Python values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias, overload

from trunkline.amounts import to_decimal
from trunkline.v1 import collections_pb2, retrieval_pb2

Fact: TypeAlias = str | float | bool | Sequence[str]
"""What can be known of a document."""
Wanted: TypeAlias = str | float | bool | Iterable[str | float | bool] | retrieval_pb2.NumberRange | None
"""A value, any of several, a number within bounds; `None`: there is no such fact."""
Where: TypeAlias = Mapping[str, Wanted]
Documents: TypeAlias = Mapping[str, str] | Iterable[collections_pb2.Document]
"""Texts by their ids, or what `entry` makes."""
Mode: TypeAlias = Literal["meaning", "words", "hybrid"]


@dataclass(frozen=True)
class Hit:
    """A passage of a document that was found."""

    hit: collections_pb2.SearchHit

    def __str__(self) -> str:
        return self.hit.text

    @property
    def document_id(self) -> str:
        return self.hit.document_id

    @property
    def text(self) -> str:
        return self.hit.text

    @property
    def title(self) -> str:
        return self.hit.title

    @property
    def uri(self) -> str:
        return self.hit.uri

    @property
    def score(self) -> float:
        """How well it fits; only the order means something across kinds of search."""
        return self.hit.score

    @property
    def similarity(self) -> float | None:
        """`None` where it was found by its words alone."""
        return self.hit.similarity if self.hit.HasField("similarity") else None

    @property
    def facts(self) -> dict[str, Fact]:
        return facts_of(self.hit.metadata)


@dataclass(frozen=True)
class Hits(Sequence[Hit]):
    """The best first, with the bill."""

    response: collections_pb2.SearchResponse

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Hit]: ...
    def __getitem__(self, index: int | slice) -> Hit | Sequence[Hit]:
        found = self.response.hits[index]
        return Hit(found) if isinstance(found, collections_pb2.SearchHit) else [Hit(each) for each in found]

    def __len__(self) -> int:
        return len(self.response.hits)

    def __iter__(self) -> Iterator[Hit]:
        return (Hit(each) for each in self.response.hits)

    @property
    def charge(self) -> Decimal:
        return sum((to_decimal(each.charge) for each in self.response.receipts), Decimal(0))


def entry(
    document_id: str, text: str | Sequence[str], *, title: str = "", uri: str = "", **facts: Fact
) -> collections_pb2.Document:
    """A document for a collection: a text, or the passages that it is made of, and what is known of it."""
    told = {"text": text} if isinstance(text, str) else {"chunks": text}
    metadata = {name: _value(fact) for name, fact in facts.items()}
    return collections_pb2.Document(document_id=document_id, title=title, uri=uri, metadata=metadata, **told)


def between(
    at_least: float | None = None,
    at_most: float | None = None,
    *,
    more_than: float | None = None,
    less_than: float | None = None,
) -> retrieval_pb2.NumberRange:
    """Bounds of a number, for `where`."""
    return retrieval_pb2.NumberRange(at_least=at_least, at_most=at_most, greater_than=more_than, less_than=less_than)


def documents_of(documents: Documents) -> list[collections_pb2.Document]:
    if isinstance(documents, Mapping):
        return [entry(document_id, text) for document_id, text in documents.items()]
    return list(documents)


def facts_of(metadata: Mapping[str, retrieval_pb2.MetadataValue]) -> dict[str, Fact]:
    return {name: _fact(value) for name, value in metadata.items()}


def options_of(
    *,
    limit: int,
    mode: Mode | None,
    min_similarity: float | None,
    where: Where | None,
    unless: Where | None,
    rerank: str,
) -> retrieval_pb2.SearchOptions:
    asked = {"must": _conditions(where or {}), "must_not": _conditions(unless or {})}
    return retrieval_pb2.SearchOptions(
        limit=limit,
        mode=retrieval_pb2.SearchMode.Value(f"SEARCH_MODE_{(mode or 'unspecified').upper()}"),
        min_similarity=min_similarity,
        filter=retrieval_pb2.MetadataFilter(**asked) if where or unless else None,
        rerank=retrieval_pb2.SearchRerank(model=rerank) if rerank else None,
    )


def _conditions(wanted: Where) -> list[retrieval_pb2.Condition]:
    return [_condition(key, each) for key, each in wanted.items()]


def _condition(key: str, wanted: Wanted) -> retrieval_pb2.Condition:
    match wanted:
        case None:
            return retrieval_pb2.Condition(key=key, exists=False)
        case retrieval_pb2.NumberRange():
            return retrieval_pb2.Condition(key=key, range=wanted)
        case str() | bool() | int() | float():
            return retrieval_pb2.Condition(key=key, equals=_value(wanted))
        case _:
            values = retrieval_pb2.MetadataValues(values=[_value(each) for each in wanted])
            return retrieval_pb2.Condition(key=key, any_of=values)


def _value(fact: Fact) -> retrieval_pb2.MetadataValue:
    match fact:
        case str():
            return retrieval_pb2.MetadataValue(text=fact)
        case bool():
            return retrieval_pb2.MetadataValue(flag=fact)
        case int() | float():
            return retrieval_pb2.MetadataValue(number=fact)
        case _:
            return retrieval_pb2.MetadataValue(texts=retrieval_pb2.MetadataTexts(texts=fact))


def _fact(value: retrieval_pb2.MetadataValue) -> Fact:
    match value.WhichOneof("kind"):
        case "flag":
            return value.flag
        case "number":
            return value.number
        case "texts":
            return list(value.texts.texts)
        case _:
            return value.text
