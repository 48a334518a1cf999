"""VectorStoreService: stores that providers keep, filled with our files."""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.v1 import vector_stores_pb2
from trunkline_server.core.call import Call
from trunkline_server.core.errors import TrunklineError
from trunkline_server.core.page_token import PageTokens
from trunkline_server.core.text import readable
from trunkline_server.gateway.abroad import Abroad, abroad, way_back
from trunkline_server.gateway.copies import Copies
from trunkline_server.store.files import Copy
from trunkline_server.store.vector_stores import StoreRow, VectorStores


@dataclass(frozen=True)
class VectorStoreService:
    """The tenant's vector stores, whoever of its users asks."""

    stores: VectorStores
    copies: Copies
    tokens: PageTokens

    async def create_vector_store(
        self, call: Call, request: vector_stores_pb2.CreateVectorStoreRequest
    ) -> vector_stores_pb2.CreateVectorStoreResponse:
        there = abroad(self.copies.routes, call.caller, request.provider)
        name = readable("name", request.name)
        craft = there.stores
        files = [await self._copy(call, there, file_id) for file_id in request.file_ids]
        store_id = await self.stores.intend(call.caller.tenant_id, request.provider, there.account_id, name)
        try:
            asked = craft.create(name, [copy.provider_file_id for copy in files])
            made = craft.created(await there.ask(asked))
        except TrunklineError:
            await self.stores.forget(store_id)
            raise
        await self.stores.keep(store_id, made)
        for copy in files:
            await self.stores.add(store_id, copy)
        row = await self._find(call, f"vs_{store_id.hex}")
        return vector_stores_pb2.CreateVectorStoreResponse(vector_store=row.message())

    async def get_vector_store(
        self, call: Call, request: vector_stores_pb2.GetVectorStoreRequest
    ) -> vector_stores_pb2.GetVectorStoreResponse:
        row = await self._find(call, request.vector_store_id)
        there = self._there(row)
        told = row.message()
        told.standing.CopyFrom(there.stores.shown(await there.ask(there.stores.show(row.provider_store_id))))
        return vector_stores_pb2.GetVectorStoreResponse(vector_store=told)

    async def list_vector_stores(
        self, call: Call, request: vector_stores_pb2.ListVectorStoresRequest
    ) -> vector_stores_pb2.ListVectorStoresResponse:
        paging = self.tokens.paging(call.caller.tenant_id, request)
        rows = await self.stores.page(call.caller.tenant_id, paging.behind_id, paging.limit)
        page, token = paging.cut(rows, lambda row: (row.id.hex,))
        told = [row.message() for row in page]
        return vector_stores_pb2.ListVectorStoresResponse(vector_stores=told, next_page_token=token)

    async def delete_vector_store(
        self, call: Call, request: vector_stores_pb2.DeleteVectorStoreRequest
    ) -> vector_stores_pb2.DeleteVectorStoreResponse:
        row = await self._find(call, request.vector_store_id)
        there = self._there(row)
        await there.discard(there.stores.delete(row.provider_store_id))
        await self.stores.forget(row.id)
        return vector_stores_pb2.DeleteVectorStoreResponse()

    async def add_files(
        self, call: Call, request: vector_stores_pb2.AddFilesRequest
    ) -> vector_stores_pb2.AddFilesResponse:
        row = await self._find(call, request.vector_store_id)
        there = self._there(row)
        for file_id in request.file_ids:
            copy = await self._copy(call, there, file_id)
            if file_id not in row.files:
                await there.ask(there.stores.add(row.provider_store_id, copy.provider_file_id))
                await self.stores.add(row.id, copy)
        row = await self._find(call, request.vector_store_id)
        return vector_stores_pb2.AddFilesResponse(vector_store=row.message())

    async def remove_files(
        self, call: Call, request: vector_stores_pb2.RemoveFilesRequest
    ) -> vector_stores_pb2.RemoveFilesResponse:
        row = await self._find(call, request.vector_store_id)
        there = self._there(row)
        for file_id in row.files.keys() & set(request.file_ids):
            await there.discard(there.stores.remove(row.provider_store_id, row.files[file_id]))
            await self.stores.remove(row.id, file_id)
        row = await self._find(call, request.vector_store_id)
        return vector_stores_pb2.RemoveFilesResponse(vector_store=row.message())

    async def search_vector_store(
        self, call: Call, request: vector_stores_pb2.SearchVectorStoreRequest
    ) -> vector_stores_pb2.SearchVectorStoreResponse:
        row = await self._find(call, request.vector_store_id)
        there = self._there(row)
        passages = there.stores.found(await there.ask(there.stores.search(row.provider_store_id, request)))
        ours = {name: file_id for file_id, name in row.files.items()}
        for passage in passages:
            passage.file_id = ours.get(passage.file_id, "")
        return vector_stores_pb2.SearchVectorStoreResponse(passages=passages)

    async def _find(self, call: Call, name: str) -> StoreRow:
        return await self.stores.find(call.caller.tenant_id, readable("vector_store_id", name))

    def _there(self, row: StoreRow) -> Abroad:
        """Whoever has a key of its own by now: a store is where it was made."""
        return way_back(self.copies.routes, row.provider, row.account_id)

    async def _copy(self, call: Call, there: Abroad, file_id: str) -> Copy:
        purpose = there.stores.purpose
        return await self.copies.at(there, call.caller.tenant_id, readable("file_ids", file_id), purpose)
