-- Prompts under a name, in numbered versions that never change.

CREATE TABLE prompt (
    prompt_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenant,
    name text NOT NULL CHECK (name <> ''),
    description text NOT NULL,
    default_version integer NOT NULL CHECK (default_version > 0),
    latest_version integer NOT NULL CHECK (latest_version >= default_version),
    create_time timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, name)
);

CREATE TABLE prompt_version (
    prompt_id uuid NOT NULL REFERENCES prompt ON DELETE CASCADE,
    version integer NOT NULL CHECK (version > 0),
    body bytea NOT NULL, -- messages, variables and note, as `trunkline.v1.PromptVersion`
    created_by text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (prompt_id, version)
);

CREATE FUNCTION prompt_version_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'versions of prompts are only added' USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER prompt_version_stands BEFORE UPDATE ON prompt_version
FOR EACH STATEMENT EXECUTE FUNCTION prompt_version_stands();
