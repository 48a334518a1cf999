-- Documents of a collection and their chunks. {id} stands for the collection's own tables; $1 is the collection where
-- the table is everybody's.

-- name: create
CREATE TABLE collected.chunk_{id} (
    chunk_id uuid PRIMARY KEY,
    document_id text COLLATE "C" NOT NULL,
    place integer NOT NULL,
    content text NOT NULL,
    words tsvector NOT NULL,
    facts jsonb NOT NULL
);
CREATE INDEX ON collected.chunk_{id} (document_id, place);
CREATE INDEX ON collected.chunk_{id} USING gin (words);
CREATE INDEX ON collected.chunk_{id} USING gin (facts jsonb_path_ops)

-- name: drop
DROP TABLE IF EXISTS collected.chunk_{id}

-- name: knows_language
SELECT EXISTS (SELECT FROM pg_ts_config WHERE cfgname = $1)

-- name: digests
SELECT document_id, digest, body FROM collection_document WHERE collection_id = $1 AND document_id = ANY ($2::text[])

-- name: put
INSERT INTO collection_document (collection_id, document_id, digest, body, chunk_count) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (collection_id, document_id) DO UPDATE SET
    digest = excluded.digest, body = excluded.body, chunk_count = excluded.chunk_count, update_time = now()

-- name: empty
DELETE FROM collected.chunk_{id} WHERE document_id = ANY ($1::text[]) RETURNING chunk_id

-- $5: the language; $6: the facts, as JSON.
-- name: put_chunk
INSERT INTO collected.chunk_{id} (chunk_id, document_id, place, content, words, facts)
VALUES ($1, $2, $3, $4, to_tsvector($5::text::regconfig, $4), $6::text::jsonb)

-- Where its words are still those of this digest.
-- name: describe
UPDATE collection_document SET body = $4, update_time = now()
WHERE collection_id = $1 AND document_id = $2 AND digest = $3
RETURNING document_id

-- name: tell_facts
UPDATE collected.chunk_{id} SET facts = $2::text::jsonb WHERE document_id = $1 RETURNING chunk_id

-- name: delete
DELETE FROM collection_document WHERE collection_id = $1 AND document_id = ANY ($2::text[]) RETURNING document_id

-- name: find
SELECT document_id, body, chunk_count, create_time, update_time
FROM collection_document
WHERE collection_id = $1 AND document_id = $2

-- name: page
SELECT document_id, body, chunk_count, create_time, update_time
FROM collection_document
WHERE collection_id = $1 AND ($2::text IS NULL OR document_id > $2)
ORDER BY document_id
LIMIT $3

-- name: chunks_of
SELECT chunk_id, content FROM collected.chunk_{id} WHERE document_id = $1 ORDER BY place

-- name: hits
SELECT chunk_id, chunk.document_id, place, content, body
FROM collected.chunk_{id} AS chunk
JOIN collection_document AS document ON document.collection_id = $1 AND document.document_id = chunk.document_id
WHERE chunk_id = ANY ($2::uuid[])

-- Those that have any of the words; the more of them and the closer together, the better.
-- $1: the words; $2: the language; $3: at most so many.
-- name: by_words
SELECT chunk_id, ts_rank_cd(words, wanted, 1)::float8 AS rank
FROM collected.chunk_{id}
CROSS JOIN (SELECT replace(plainto_tsquery($2::text::regconfig, $1)::text, ' & ', ' | ')::tsquery AS wanted) AS asked
WHERE words @@ wanted
ORDER BY rank DESC, chunk_id
LIMIT $3

-- $4: what their facts must fulfil.
-- name: by_words_where
SELECT chunk_id, ts_rank_cd(words, wanted, 1)::float8 AS rank
FROM collected.chunk_{id}
CROSS JOIN (SELECT replace(plainto_tsquery($2::text::regconfig, $1)::text, ' & ', ' | ')::tsquery AS wanted) AS asked
WHERE words @@ wanted AND facts @@ $4::text::jsonpath
ORDER BY rank DESC, chunk_id
LIMIT $3

-- name: present
SELECT chunk_id FROM collected.chunk_{id} WHERE chunk_id = ANY ($1::uuid[])

-- Of those whose facts are as asked. $2: at most so many; $3: what their facts must fulfil, or null.
-- name: longest
SELECT chunk_id, chunk.document_id, place, content, body
FROM (
    SELECT chunk_id, document_id, place, content
    FROM collected.chunk_{id}
    WHERE $3::text IS NULL OR facts @@ $3::text::jsonpath
    ORDER BY octet_length(content) DESC
    LIMIT $2
) AS chunk
JOIN collection_document AS document ON document.collection_id = $1 AND document.document_id = chunk.document_id
