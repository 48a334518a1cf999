-- Who executes actions, and the confirmations that were used.

CREATE TABLE action_handler (
    handler_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenant,
    name text NOT NULL CHECK (name <> ''),
    action_pattern text NOT NULL CHECK (action_pattern <> ''),
    types integer[] NOT NULL, -- `trunkline.v1.ActionType`; empty: all
    priority integer NOT NULL,
    needs_confirmation boolean NOT NULL,
    uri text NOT NULL, -- one of these two is empty
    entry_point text NOT NULL,
    key_version integer NOT NULL,
    secret bytea NOT NULL, -- sealed; empty for an entry point
    created_by text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, name),
    CHECK ((uri = '') <> (entry_point = ''))
);

CREATE INDEX action_handler_in_order ON action_handler (tenant_id, priority DESC, handler_id);

-- A row means that a token with this mark was used; it is forgotten once the token's own time is over.
CREATE TABLE action_confirmation (
    mark bytea PRIMARY KEY,
    expire_time timestamptz NOT NULL
);

CREATE INDEX action_confirmation_by_end ON action_confirmation (expire_time);
