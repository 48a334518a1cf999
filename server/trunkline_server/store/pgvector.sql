-- Vectors of a collection in PostgreSQL, by pgvector. {id} stands for the collection's own table, {type} for the type of
-- its vectors, {distance} for how near two of them are; {indexed} for what its index holds of them, {ops} and {order} for
-- how near the index takes two of those to be, and {sought} for the same of the vector that is asked for. That one comes
-- as text, {asked}: the driver takes longer for an array. It is read by a SELECT of its own: once, not for each row.

-- name: has_halves
SELECT to_regtype('halfvec') IS NOT NULL

-- name: create
CREATE TABLE collected.vector_{id} (
    chunk_id uuid PRIMARY KEY,
    facts jsonb NOT NULL,
    embedding {type} NOT NULL
);
CREATE INDEX ON collected.vector_{id} USING gin (facts jsonb_path_ops);
CREATE INDEX ON collected.vector_{id} USING hnsw (({indexed}) {ops}) WITH (m = 16, ef_construction = 128)

-- name: drop
DROP TABLE IF EXISTS collected.vector_{id}

-- name: put
INSERT INTO collected.vector_{id} (chunk_id, facts, embedding) VALUES ($1, $2::text::jsonb, $3::text::{type})
ON CONFLICT (chunk_id) DO UPDATE SET facts = excluded.facts, embedding = excluded.embedding

-- name: remove
DELETE FROM collected.vector_{id} WHERE chunk_id = ANY ($1::uuid[])

-- name: vectors
SELECT chunk_id, embedding::vector::real[] AS vector FROM collected.vector_{id} WHERE chunk_id = ANY ($1::uuid[])

-- The index says which are near, and the vectors themselves how near they are. {limit} and {candidates} are spelled out: a
-- plan for any number is a bad one for few, and so would be made anew each time. {where}: `true`, or what follows.
-- name: nearest
SELECT chunk_id, embedding {distance} {asked} AS distance
FROM (
    SELECT chunk_id, embedding
    FROM collected.vector_{id}
    WHERE {where}
    ORDER BY {indexed} {order} {sought}
    LIMIT {candidates}
) AS candidate
ORDER BY distance
LIMIT {limit}

-- name: fulfils
facts @@ $2::text::jsonpath

-- The same without the index, which misses most of what few fulfil. Right where `matching` is no more than $3.
-- name: nearest_of_few
SELECT chunk_id, distance, count(*) OVER () AS matching
FROM (
    SELECT chunk_id, embedding {distance} {asked} AS distance
    FROM collected.vector_{id}
    WHERE {where}
    LIMIT $3::bigint + 1
) AS matched
ORDER BY distance
LIMIT {limit}

-- For the rest of a transaction: as many neighbours in view as pgvector allows.
-- name: look_wider
SELECT set_config('hnsw.ef_search', '1000', true)

-- {nearest} is one of those above.
-- name: told
SELECT near.*, chunk.document_id, place, content, body
FROM ({nearest}) AS near
JOIN collected.chunk_{id} AS chunk USING (chunk_id)
JOIN collection_document AS document
    ON document.collection_id = '{id}'::uuid AND document.document_id = chunk.document_id
ORDER BY distance

-- Behind $1.
-- name: page
SELECT chunk_id FROM collected.vector_{id} WHERE $1::uuid IS NULL OR chunk_id > $1 ORDER BY chunk_id LIMIT $2
