-- Vector stores at providers. `provider_store_id` null: it may be there, and what it is called is not known.

CREATE TABLE vector_store (
    vector_store_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenant,
    provider text NOT NULL CHECK (provider <> ''),
    account_id uuid NOT NULL, -- as in `file_copy`
    name text NOT NULL,
    provider_store_id text CHECK (provider_store_id <> ''),
    create_time timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX vector_store_page ON vector_store (tenant_id, vector_store_id DESC);

CREATE TABLE vector_store_file (
    vector_store_id uuid NOT NULL REFERENCES vector_store ON DELETE CASCADE,
    file_id uuid NOT NULL,
    provider_file_id text NOT NULL CHECK (provider_file_id <> ''),
    PRIMARY KEY (vector_store_id, file_id)
);
