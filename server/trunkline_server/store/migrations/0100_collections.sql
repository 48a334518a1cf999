-- Collections of documents. What is in one of them stands in tables of its own, in the schema `collected`: so each has
-- its own index over its own vectors, nobody else's are met on the way to them, and all of it goes at once.

DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS vector;
EXCEPTION WHEN insufficient_privilege OR undefined_file OR feature_not_supported THEN
    RAISE NOTICE 'pgvector is not there, or this role may not create it: collections need another store';
END
$$;

CREATE SCHEMA collected;

CREATE TABLE collection (
    collection_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenant,
    name text NOT NULL CHECK (name <> ''),
    spec bytea NOT NULL, -- `trunkline.v1.CollectionSpec`
    store text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, name)
);

CREATE TABLE collection_document (
    collection_id uuid NOT NULL REFERENCES collection ON DELETE CASCADE,
    document_id text COLLATE "C" NOT NULL,
    digest bytea NOT NULL, -- of its words: other words are embedded anew
    body bytea NOT NULL, -- the rest, as `trunkline.v1.Document`
    chunk_count integer NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (collection_id, document_id)
);
