"""Collections as a whole: their row, their documents and their vectors are made and removed together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from trunkline.v1 import collections_pb2
from trunkline_server.core import ids
from trunkline_server.core.collections.vectors import VectorStore
from trunkline_server.core.errors import Reason, TrunklineError, invalid
from trunkline_server.store.collections import Collection, Collections
from trunkline_server.store.documents import Documents

CHUNK_TOKENS: Final = 400
CHUNK_TOKENS_MIN: Final = 16
OVERLAP_TOKENS: Final = 40
LANGUAGE: Final = "simple"
REMEMBERED_MAX: Final = 10_000


@dataclass(frozen=True)
class Shelves:
    """`stores` by their names; new collections go to the one that is `default`."""

    collections: Collections
    documents: Documents
    stores: Mapping[str, VectorStore]
    default: str
    _remembered: dict[tuple[UUID, str], Collection] = field(default_factory=dict)

    async def create(self, tenant_id: UUID, spec: collections_pb2.CollectionSpec) -> Collection:
        """Raises RESOURCE_EXISTS, CAPABILITY_UNSUPPORTED, VALIDATION. What fails half-way is taken back."""
        whole = _whole(spec)
        if not await self.documents.knows_language(whole.language):
            raise invalid("spec.language", "is none that this database knows; leave it empty")
        made = await self.collections.create(tenant_id, ids.new_uuid(), whole, self.default)
        try:
            await self.documents.create(made.collection_id)
            await self.stores[self.default].create(made.space)
        except BaseException:
            await self.remove(tenant_id, made)
            raise
        return made

    async def find(self, tenant_id: UUID, name: str) -> Collection:
        """Raises RESOURCE_NOT_FOUND."""
        return await self.collections.find(tenant_id, name)

    async def remembered(self, tenant_id: UUID, name: str) -> Collection:
        """As it was when it was last looked for: a collection never changes, but it can be gone."""
        return self._remembered.get((tenant_id, name)) or await self.found_again(tenant_id, name)

    async def found_again(self, tenant_id: UUID, name: str) -> Collection:
        """For one that is remembered and is not there. Raises RESOURCE_NOT_FOUND."""
        self._remembered.pop((tenant_id, name), None)
        found = await self.find(tenant_id, name)
        if len(self._remembered) >= REMEMBERED_MAX:
            self._remembered.clear()
        self._remembered[tenant_id, name] = found
        return found

    async def remove(self, tenant_id: UUID, found: Collection) -> None:
        """Its row last: what could not be removed can be removed again."""
        await self.vectors(found).drop(found.space)
        await self.documents.drop(found.collection_id)
        await self.collections.delete(tenant_id, found.collection_id)

    def vectors(self, found: Collection) -> VectorStore:
        """Where its vectors are. Raises CAPABILITY_UNSUPPORTED where that store is no longer set up."""
        if found.store not in self.stores:
            message = f"the collection is in the store {found.store!r}, which is not set up here"
            raise TrunklineError(Reason.CAPABILITY_UNSUPPORTED, message)
        return self.stores[found.store]


def _whole(spec: collections_pb2.CollectionSpec) -> collections_pb2.CollectionSpec:
    """With all that was left open."""
    whole = collections_pb2.CollectionSpec()
    whole.CopyFrom(spec)
    whole.metric = spec.metric or collections_pb2.METRIC_COSINE
    whole.chunk_tokens = spec.chunk_tokens or CHUNK_TOKENS
    whole.language = spec.language or LANGUAGE
    if whole.chunk_tokens < CHUNK_TOKENS_MIN:
        raise invalid("spec.chunk_tokens", f"is less than {CHUNK_TOKENS_MIN}")
    if not spec.HasField("overlap_tokens"):
        whole.overlap_tokens = min(OVERLAP_TOKENS, whole.chunk_tokens // 10)
    if whole.overlap_tokens > whole.chunk_tokens // 2:
        raise invalid("spec.overlap_tokens", "is more than half of a chunk")
    return whole
