-- Assistants under a name.

CREATE TABLE assistant (
    assistant_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenant,
    name text NOT NULL CHECK (name <> ''),
    persona bytea NOT NULL, -- `trunkline.v1.Persona`
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, name)
);
