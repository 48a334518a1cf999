-- MCP servers, and what they say of their tools: as approved, and as told last.

CREATE TABLE mcp_server (
    server_id uuid PRIMARY KEY,
    tenant_id uuid REFERENCES tenant, -- null: the operator's
    name text NOT NULL CHECK (name <> ''),
    spec bytea NOT NULL, -- `trunkline.v1.McpServerSpec`
    key_version integer,
    secrets bytea, -- sealed
    create_time timestamptz NOT NULL DEFAULT now(),
    refresh_time timestamptz,
    UNIQUE (tenant_id, name),
    FOREIGN KEY (tenant_id, key_version) REFERENCES tenant_key (tenant_id, version)
);

CREATE UNIQUE INDEX mcp_server_of_operator ON mcp_server (name) WHERE tenant_id IS NULL;

CREATE TABLE mcp_tool (
    server_id uuid NOT NULL REFERENCES mcp_server ON DELETE CASCADE,
    name text NOT NULL,
    description text, -- as approved; null: never was
    parameters text,
    digest bytea,
    told_description text, -- as told last; null: the server no longer has it
    told_parameters text,
    told_digest bytea,
    PRIMARY KEY (server_id, name)
);
