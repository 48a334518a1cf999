-- Vector stores at providers that calls had made of their files, to search in them: one for each set of files.

CREATE TABLE search_store (
    search_store_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenant,
    provider text NOT NULL CHECK (provider <> ''),
    account_id uuid NOT NULL, -- as in `file_copy`
    file_ids uuid[] NOT NULL, -- in order, each once
    provider_store_id text NOT NULL CHECK (provider_store_id <> ''),
    ready_time timestamptz, -- when its provider last said that all of it is read
    use_time timestamptz NOT NULL DEFAULT now(),
    is_gone boolean NOT NULL DEFAULT false -- its provider still has it
);

CREATE UNIQUE INDEX search_store_files ON search_store (tenant_id, provider, account_id, file_ids) WHERE NOT is_gone;
CREATE INDEX search_store_gone ON search_store (search_store_id) WHERE is_gone;

SELECT confine('search_store');
GRANT SELECT, INSERT, UPDATE ON search_store TO trunkline_tenant;
