-- Conversations and their messages. Whoever has the turn of a conversation is making an answer in it; the turn is a
-- lease, so that it comes free when its process dies.

CREATE TABLE conversation (
    conversation_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenant,
    user_id text NOT NULL,
    title text NOT NULL,
    system_prompt text NOT NULL,
    settings bytea NOT NULL, -- `trunkline.v1.ConversationSettings`
    metadata jsonb NOT NULL,
    participants text[] NOT NULL,
    parent_id uuid,
    message_count bigint NOT NULL DEFAULT 0 CHECK (message_count >= 0),
    last_position bigint NOT NULL DEFAULT 0,
    turn_id uuid,
    turn_until timestamptz,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now(),
    delete_time timestamptz,
    CHECK ((turn_id IS NULL) = (turn_until IS NULL))
);

CREATE INDEX conversation_by_tenant ON conversation (tenant_id, conversation_id) WHERE delete_time IS NULL;
CREATE INDEX conversation_by_user ON conversation (tenant_id, user_id, conversation_id) WHERE delete_time IS NULL;
CREATE INDEX conversation_by_participant ON conversation USING gin (participants) WHERE delete_time IS NULL;
CREATE INDEX conversation_deleted ON conversation (delete_time) WHERE delete_time IS NOT NULL;

CREATE TABLE conversation_message (
    conversation_id uuid NOT NULL REFERENCES conversation ON DELETE CASCADE,
    position bigint NOT NULL,
    message_id uuid NOT NULL,
    role smallint NOT NULL,
    begins_turn boolean NOT NULL,
    size_tokens integer NOT NULL, -- as estimated, to fit the history into a context window
    body bytea NOT NULL, -- the rest, as `trunkline.v1.ConversationMessage`
    model text NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cost_nano_usd bigint NOT NULL,
    charge_nanos bigint NOT NULL,
    duration_ms bigint NOT NULL,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (conversation_id, position)
);

-- Who may reach a conversation: its tenant, and of its users, where one is named, its own and the participants.
CREATE FUNCTION conversation_is_open(it conversation, tenant uuid, reader text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT it.tenant_id = tenant AND it.delete_time IS NULL
        AND (reader = '' OR it.user_id = reader OR reader = ANY (it.participants))
$$;
