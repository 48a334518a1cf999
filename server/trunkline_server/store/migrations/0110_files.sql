-- Files: their rows, their pieces, and the bytes of those where the database keeps them.

CREATE TABLE file (
    file_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenant,
    principal text NOT NULL, -- the key whose `request_id` it is
    request_id text CHECK (request_id <> ''),
    spec bytea NOT NULL, -- `trunkline.v1.FileSpec`
    received_bytes bigint NOT NULL DEFAULT 0 CHECK (received_bytes >= 0),
    sha256 bytea CHECK (octet_length(sha256) = 32), -- null: not ready
    create_time timestamptz NOT NULL DEFAULT now(),
    expire_time timestamptz,
    touch_time timestamptz NOT NULL DEFAULT now(),
    is_gone boolean NOT NULL DEFAULT false -- its bytes are still to be swept away
);

CREATE UNIQUE INDEX file_request ON file (tenant_id, principal, request_id) WHERE request_id IS NOT NULL AND NOT is_gone;
CREATE INDEX file_page ON file (tenant_id, file_id DESC) WHERE NOT is_gone;
CREATE INDEX file_gone ON file (file_id) WHERE is_gone;
CREATE INDEX file_expiring ON file (expire_time) WHERE expire_time IS NOT NULL AND NOT is_gone;
CREATE INDEX file_unfinished ON file (touch_time) WHERE sha256 IS NULL AND NOT is_gone;

-- `begin_bytes` null: its bytes are on their way, and nobody knows whether they arrived.
CREATE TABLE file_piece (
    piece_id uuid PRIMARY KEY,
    file_id uuid NOT NULL REFERENCES file,
    begin_bytes bigint CHECK (begin_bytes >= 0),
    size_bytes integer NOT NULL CHECK (size_bytes > 0),
    UNIQUE (file_id, begin_bytes)
);

CREATE TABLE piece_content (
    piece_id uuid PRIMARY KEY,
    content oid NOT NULL -- a large object
);

CREATE TABLE file_copy (
    file_id uuid NOT NULL REFERENCES file,
    provider text NOT NULL CHECK (provider <> ''),
    account_id uuid NOT NULL, -- the tenant's account there; all zeros: the operator's
    purpose text NOT NULL,
    provider_file_id text NOT NULL CHECK (provider_file_id <> ''),
    create_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (file_id, provider, account_id, purpose)
);
