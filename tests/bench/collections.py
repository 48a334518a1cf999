"""`python -m tests.bench.collections`: a search among 100,000 documents against plain SQL in the same run.

Plain SQL is what pgvector's own page begins with: texts and whole vectors in one table, an index over them of the same
measures as a collection's, and one statement. It fails where fewer than 98 of 100 of the nearest are found, or a search
takes more than 1.3 times as long.
"""

from __future__ import annotations

import argparse
import random
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg
import grpc
import uvloop

from trunkline.v1 import collections_pb2, collections_pb2_grpc, retrieval_pb2
from trunkline_server import config
from trunkline_server.app import House, opened
from trunkline_server.core import ids
from trunkline_server.gateway.collections.shelves import Shelves
from trunkline_server.store.collections import Collection, Collections
from trunkline_server.store.connection import HNSW_EF_SEARCH
from trunkline_server.store.database import Database, DatabaseSettings
from trunkline_server.store.documents import Documents
from trunkline_server.store.embedded import EmbeddedPostgres
from trunkline_server.store.pgvector import PgVector

DIMENSIONS: Final = 384
DOCUMENTS: Final = 100_000
QUERIES: Final = 200
LIMIT: Final = 10
TOPICS: Final = 200
TOPIC_WORDS: Final = 40
DOCUMENT_WORDS: Final = 12
BATCH: Final = 2000
INDEX_MIB: Final = 512
PLAIN_INDEX: Final = (
    "CREATE INDEX ON plain USING hnsw (embedding vector_cosine_ops) WITH (m = 16, ef_construction = 128)"
)
RECALL_MIN: Final = 0.98
TIMES_MAX: Final = 1.3

Vector = list[float]
Find = Callable[[Vector], Awaitable[list[str]]]


class Writer:
    """Makes vectors as texts have them: each is the sum of those of its words, and a topic has words of its own."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._topics = [[self._word() for _ in range(TOPIC_WORDS)] for _ in range(TOPICS)]

    def vector(self) -> Vector:
        words = self._random.choices(self._random.choice(self._topics), k=DOCUMENT_WORDS - 2)
        words += [self._random.choice(self._random.choice(self._topics)) for _ in range(2)]
        return list(map(sum, zip(*words, strict=True)))

    def _word(self) -> Vector:
        return [self._random.gauss(0, 1) for _ in range(DIMENSIONS)]


async def fill(url: str, collection: Collection, vectors: Iterator[Vector], count: int) -> None:
    """By COPY, without a model, and the index afterwards, as fast as bounded memory lets it be made."""
    name = collection.collection_id.hex
    connection = await asyncpg.connect(url)
    await connection.set_type_codec("vector", encoder=_binary, decoder=bytes, schema="public", format="binary")
    indexes = await connection.fetch("SELECT indexname, indexdef FROM pg_indexes WHERE indexdef ~ $1", f"{name}.*hnsw")
    await connection.execute(f"DROP INDEX collected.{indexes[0]['indexname']}")
    for start in range(0, count, BATCH):
        await _copy(connection, collection.collection_id, list(islice(vectors, min(BATCH, count - start))))
    await connection.execute(
        f"INSERT INTO collected.chunk_{name} SELECT chunk_id, chunk_id::text, 0, 'text of ' || chunk_id, "
        f"to_tsvector('simple', 'text of ' || chunk_id), facts FROM collected.vector_{name}"
    )
    await _index(connection, indexes[0]["indexdef"])
    await connection.close()


async def _index(connection: Any, definition: str) -> None:
    await connection.execute(f"SET maintenance_work_mem = '{INDEX_MIB} MB'")
    await connection.execute(definition)
    await connection.execute("VACUUM ANALYZE")


async def _copy(connection: Any, collection_id: UUID, vectors: Sequence[Vector]) -> None:
    chunk_ids = [ids.new_uuid() for _ in vectors]
    points = [(chunk_id, "{}", vector) for chunk_id, vector in zip(chunk_ids, vectors, strict=True)]
    bodies = [collections_pb2.Document(document_id=str(each)).SerializeToString() for each in chunk_ids]
    rows = [(collection_id, str(each), b"", body, 1) for each, body in zip(chunk_ids, bodies, strict=True)]
    columns = ("collection_id", "document_id", "digest", "body", "chunk_count")
    await connection.copy_records_to_table(f"vector_{collection_id.hex}", schema_name="collected", records=points)
    await connection.copy_records_to_table("collection_document", records=rows, columns=columns)


def _binary(vector: Vector) -> bytes:
    """As pgvector receives it."""
    return struct.pack(f">HH{len(vector)}f", len(vector), 0, *vector)


def through_the_gateway(channel: grpc.aio.Channel, house: House, collection: Collection) -> Find:
    stub: Any = collections_pb2_grpc.CollectionServiceStub(channel)
    metadata = (("authorization", f"Bearer {house.admin_key}"),)

    async def find(vector: Vector) -> list[str]:
        query = collections_pb2.QueryVector(values=vector)
        options = retrieval_pb2.SearchOptions(limit=LIMIT)
        request = collections_pb2.SearchRequest(collection=collection.spec.name, vector=query, options=options)
        return [hit.document_id for hit in (await stub.Search(request, metadata=metadata)).hits]

    return find


def without_the_door(shelves: Shelves, collection: Collection) -> Find:
    store = shelves.vectors(collection)
    assert isinstance(store, PgVector)

    async def find(vector: Vector) -> list[str]:
        hits = await store.told(collection.space, vector, retrieval_pb2.MetadataFilter(), LIMIT)
        return [hit.document_id for hit in hits]

    return find


async def set_up_plainly(url: str, collection: Collection) -> None:
    """The same texts and vectors."""
    name = collection.collection_id.hex
    connection = await asyncpg.connect(url)
    await connection.execute(
        "CREATE TABLE plain AS SELECT document_id, content, embedding "
        f"FROM collected.vector_{name} JOIN collected.chunk_{name} USING (chunk_id)"
    )
    await _index(connection, PLAIN_INDEX)
    await connection.close()


def plainly(connection: Any) -> Find:
    """Exact where the index is off."""
    sql = f"SELECT document_id, content FROM plain ORDER BY embedding <=> $1::real[]::vector LIMIT {LIMIT}"

    async def find(vector: Vector) -> list[str]:
        return [str(row[0]) for row in await connection.fetch(sql, vector)]

    return find


async def measured(finders: dict[str, Find], queries: Sequence[Vector]) -> dict[str, list[float]]:
    """Milliseconds of each, in turns, so that a busy moment strikes all alike. Each has an order of its own: the same
    query just before would have brought the pages that this one needs."""
    took: dict[str, list[float]] = {name: [] for name in finders}
    orders = [random.Random(place).sample(queries, len(queries)) for place in range(len(finders))]
    for asked in zip(*orders, strict=True):
        for (name, find), query in zip(finders.items(), asked, strict=True):
            began = time.perf_counter()
            await find(query)
            took[name].append((time.perf_counter() - began) * 1000)
    return took


async def recall(find: Find, exact: Find, queries: Sequence[Vector]) -> float:
    shares = [len({*await find(query)} & {*await exact(query)}) / LIMIT for query in queries]
    return statistics.fmean(shares)


async def run(folder: Path, count: int) -> bool:
    server = await EmbeddedPostgres.start(folder / "postgres")
    try:
        environ = {
            "TRUNKLINE_DATA_DIR": str(folder),
            "TRUNKLINE_DATABASE_URL": server.url,
            "TRUNKLINE_GRPC__ADDRESS": "127.0.0.1:0",
            "TRUNKLINE_HTTP__ADDRESS": "127.0.0.1:0",
            "TRUNKLINE_DATABASE__COMMAND_TIMEOUT_S": "10",
        }
        async with opened(config.load(environ)) as house, grpc.aio.insecure_channel(house.grpc_address) as channel:
            database = await Database.open(DatabaseSettings(server.url, command_timeout_s=60))
            shelves = Shelves(Collections(database), Documents(database), {"pgvector": PgVector(database)}, "pgvector")
            good = await _run(house, shelves, channel, server.url, count)
            await database.close()
            return good
    finally:
        await server.stop()


async def _run(house: House, shelves: Shelves, channel: grpc.aio.Channel, url: str, count: int) -> bool:
    plain, exact = await asyncpg.connect(url), await asyncpg.connect(url)
    tenant = await plain.fetchval("SELECT tenant_id FROM tenant WHERE name = 'default'")
    spec = collections_pb2.CollectionSpec(name="bench", model="sandbox/embed", dimensions=DIMENSIONS)
    collection = await shelves.create(tenant, spec)
    writer = Writer(7)
    began = time.perf_counter()
    await fill(url, collection, iter(writer.vector, None), count)
    print(
        f"filled with {count} documents of {DIMENSIONS} dimensions in {time.perf_counter() - began:.0f} s", flush=True
    )
    await set_up_plainly(url, collection)
    queries = [writer.vector() for _ in range(QUERIES)]
    await plain.execute(f"SET jit = off; SET hnsw.ef_search = {HNSW_EF_SEARCH}; SET hnsw.iterative_scan = strict_order")
    await exact.execute("SET enable_indexscan = off")
    search = through_the_gateway(channel, house, collection)
    finders = {
        "plain SQL": plainly(plain),
        "without the door": without_the_door(shelves, collection),
        "through the gateway": search,
    }
    await measured(finders, queries[:20])
    took = await measured(finders, queries)
    found = await recall(search, plainly(exact), queries[:100])
    await plain.close()
    await exact.close()
    return told(took, found)


def told(took: dict[str, list[float]], found: float) -> bool:
    middle = {name: statistics.median(times) for name, times in took.items()}
    for name, times in took.items():
        print(f"{name:<22} p50 {middle[name]:6.2f} ms   p95 {statistics.quantiles(times, n=20)[-1]:6.2f} ms")
    slower = middle["through the gateway"] / middle["plain SQL"]
    print(f"recall@{LIMIT} {found:.4f} (at least {RECALL_MIN})   {slower:.2f} times plain SQL (at most {TIMES_MAX})")
    return found >= RECALL_MIN and slower <= TIMES_MAX


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.collections", description=__doc__)
    parser.add_argument("--documents", type=int, default=DOCUMENTS)
    count: int = parser.parse_args().documents
    with tempfile.TemporaryDirectory() as folder:
        return 0 if uvloop.run(run(Path(folder), count)) else 1


if __name__ == "__main__":
    sys.exit(main())
