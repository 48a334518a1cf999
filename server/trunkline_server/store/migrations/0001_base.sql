-- Who there is (installation, tenants, keys), and which requests have been answered already (idempotency).

CREATE TABLE installation (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    secret bytea NOT NULL CHECK (octet_length(secret) = 32),
    create_time timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE tenant (
    tenant_id uuid PRIMARY KEY,
    name text NOT NULL UNIQUE,
    suspended boolean NOT NULL DEFAULT false,
    create_time timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX tenant_by_time ON tenant (create_time, tenant_id);

CREATE TABLE api_key (
    key_id text PRIMARY KEY CHECK (length(key_id) = 12),
    tenant_id uuid NOT NULL REFERENCES tenant,
    environment text NOT NULL,
    name text NOT NULL,
    scopes text[] NOT NULL,
    models text[] NOT NULL,
    secret_hash bytea NOT NULL,
    previous_secret_hash bytea,
    previous_expire_time timestamptz,
    expire_time timestamptz,
    revoke_time timestamptz,
    last_use_time timestamptz,
    create_time timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    CHECK ((previous_secret_hash IS NULL) = (previous_expire_time IS NULL))
);

CREATE INDEX api_key_by_tenant ON api_key (tenant_id, create_time, key_id);

CREATE TABLE idempotency (
    tenant_id uuid NOT NULL,
    principal text NOT NULL,
    method text NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    state text NOT NULL DEFAULT 'in_progress' CHECK (state IN ('in_progress', 'done')),
    owner text NOT NULL,
    fence bigint NOT NULL DEFAULT 1,
    lease_until timestamptz NOT NULL,
    completion_id uuid,
    response bytea,
    failed boolean NOT NULL DEFAULT false,
    trailers jsonb,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, principal, method, key),
    CHECK ((state = 'done') = (response IS NOT NULL))
);

CREATE INDEX idempotency_by_completion ON idempotency (tenant_id, completion_id) WHERE completion_id IS NOT NULL;
CREATE INDEX idempotency_by_time ON idempotency (create_time);
