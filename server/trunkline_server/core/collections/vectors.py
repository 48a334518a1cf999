"""Where the vectors of collections are: one small interface, which every store of vectors implements."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol
from uuid import UUID

from trunkline.v1 import collections_pb2, retrieval_pb2
from trunkline_server.core.collections.metadata import Facts

LAYOUT: Final = 2
"""Of new spaces. 1: an index over whole vectors. 2: over vectors of length 1 with 16 bits a number, where the store is
pgvector and the metric cosine."""


@dataclass(frozen=True, slots=True)
class Space:
    """The vectors of one collection. Its id is the only name that a store sees, so no tenant can name another's."""

    collection_id: UUID
    dimensions: int
    metric: collections_pb2.Metric.ValueType
    layout: int = LAYOUT


@dataclass(frozen=True, slots=True)
class Point:
    """A chunk's vector, and what it can be filtered by."""

    chunk_id: UUID
    vector: Sequence[float]
    facts: Facts = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Near:
    """A chunk that was found. `similarity` as `trunkline.v1.Metric` says; greater is nearer."""

    chunk_id: UUID
    similarity: float


class VectorStore(Protocol):
    """Raises RESOURCE_NOT_FOUND where a space is gone, and STORE_UNAVAILABLE where the store does not answer."""

    async def create(self, space: Space) -> None:
        """An empty one. Raises CAPABILITY_UNSUPPORTED where this store cannot hold it."""

    async def drop(self, space: Space) -> None:
        """With all points; one that is not there does no harm."""

    async def put(self, space: Space, points: Sequence[Point]) -> None:
        """Those that are there already are replaced. Found once this returns, by Pinecone a few seconds later."""

    async def remove(self, space: Space, chunk_ids: Sequence[UUID]) -> None:
        """Those that are not there do no harm."""

    async def vectors(self, space: Space, chunk_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[float]]:
        """Of those that are there."""

    async def nearest(
        self, space: Space, vector: Sequence[float], filter: retrieval_pb2.MetadataFilter, limit: int
    ) -> list[Near]:
        """The nearest of those that the filter lets through, the nearest first."""

    async def page(self, space: Space, after: str, limit: int) -> tuple[list[UUID], str]:
        """About so many of all points, and behind which the next page begins; that is empty where this is the last."""


class TellingStore(VectorStore):
    """One that stands beside the documents, and so can tell both at once."""

    @abstractmethod
    async def told(
        self, space: Space, vector: Sequence[float], filter: retrieval_pb2.MetadataFilter, limit: int
    ) -> list[collections_pb2.SearchHit]:
        """As `nearest`, as callers are told of them; without chunks that are gone."""


def similarity_of(metric: collections_pb2.Metric.ValueType, distance: float) -> float:
    """Of what stores call a distance: 1 - cosine, the negative product, or the length between."""
    match metric:
        case collections_pb2.METRIC_DOT_PRODUCT:
            return -distance
        case collections_pb2.METRIC_EUCLIDEAN:
            return 1 / (1 + distance)
        case _:
            return 1 - distance
