-- Tools that the gateway runs for tenants, and the approvals that were used up.

CREATE TABLE tool (
    tool_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenant,
    name text NOT NULL CHECK (name <> ''),
    spec bytea NOT NULL, -- `trunkline.v1.ToolSpec`
    key_version integer NOT NULL,
    secrets bytea NOT NULL, -- sealed
    create_time timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, name),
    FOREIGN KEY (tenant_id, key_version) REFERENCES tenant_key (tenant_id, version)
);

CREATE TABLE tool_approval_used (
    token_digest bytea PRIMARY KEY,
    expire_time timestamptz NOT NULL
);

CREATE INDEX tool_approval_used_by_time ON tool_approval_used (expire_time);
