-- Tenants' own accounts at providers: their keys, sealed, and who did what with them.

CREATE TABLE tenant_key (
    tenant_id uuid NOT NULL REFERENCES tenant,
    version integer NOT NULL CHECK (version > 0),
    kek_version integer NOT NULL CHECK (kek_version >= 0),
    wrapped bytea NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, version)
);

CREATE TABLE provider_account (
    account_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenant,
    provider text NOT NULL,
    name text NOT NULL,
    is_default boolean NOT NULL,
    key_version integer NOT NULL,
    api_key bytea NOT NULL, -- sealed
    created_by text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    rotate_time timestamptz,
    UNIQUE (tenant_id, provider, name),
    FOREIGN KEY (tenant_id, key_version) REFERENCES tenant_key (tenant_id, version)
);

CREATE UNIQUE INDEX provider_account_default ON provider_account (tenant_id, provider) WHERE is_default;
CREATE INDEX provider_account_by_tenant ON provider_account (tenant_id, create_time, account_id);

CREATE TABLE provider_account_audit (
    audit_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL, -- which may be gone
    action text NOT NULL CHECK (action IN ('create', 'rotate', 'set_default', 'delete', 'use')),
    principal text NOT NULL,
    request_id text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX provider_account_audit_by_account ON provider_account_audit (tenant_id, account_id, audit_id);

CREATE FUNCTION provider_account_audit_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit is only added to' USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER provider_account_audit_stands BEFORE UPDATE OR DELETE OR TRUNCATE ON provider_account_audit
FOR EACH STATEMENT EXECUTE FUNCTION provider_account_audit_stands();
