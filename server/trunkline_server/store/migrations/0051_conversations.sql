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
    summary text NOT NULL DEFAULT '',
    summary_through bigint NOT NULL DEFAULT 0, -- the last position that it covers
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
    user_id text NOT NULL,
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

CREATE INDEX conversation_message_by_user ON conversation_message (user_id) WHERE user_id <> '';

-- Who may reach a conversation: its tenant, and of its users, where one is named, its own and the participants.
CREATE FUNCTION conversation_is_open(it conversation, tenant uuid, reader text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT it.tenant_id = tenant AND it.delete_time IS NULL
        AND (reader = '' OR it.user_id = reader OR reader = ANY (it.participants))
$$;

-- The end of a conversation is read from its end. The planner judges by conversations of usual length, and would rather
-- sort all messages of one; so it is not left the choice.
CREATE FUNCTION conversation_tail(talk uuid, messages_max integer, tokens_max bigint)
RETURNS TABLE ("position" bigint, begins_turn boolean, body bytea)
LANGUAGE plpgsql STABLE SET enable_bitmapscan = off SET enable_seqscan = off AS $$
BEGIN
    RETURN QUERY SELECT newest.position, newest.begins_turn, newest.body
    FROM (
        SELECT message.position, message.begins_turn, message.body,
            sum(message.size_tokens) OVER (ORDER BY message.position DESC) AS tokens
        FROM conversation_message AS message
        WHERE message.conversation_id = talk
        ORDER BY message.position DESC
        LIMIT messages_max
    ) AS newest
    WHERE newest.tokens <= tokens_max
    ORDER BY newest.position;
END
$$;

CREATE FUNCTION conversation_last_turn(talk uuid, messages_max integer)
RETURNS TABLE ("position" bigint, begins_turn boolean, body bytea)
LANGUAGE plpgsql STABLE SET enable_bitmapscan = off SET enable_seqscan = off AS $$
BEGIN
    RETURN QUERY SELECT newest.position, newest.begins_turn, newest.body
    FROM (
        SELECT message.position, message.begins_turn, message.body
        FROM conversation_message AS message
        WHERE message.conversation_id = talk AND message.position >= coalesce((
            SELECT begun.position FROM conversation_message AS begun
            WHERE begun.conversation_id = talk AND begun.begins_turn
            ORDER BY begun.position DESC
            LIMIT 1
        ), 0)
        ORDER BY message.position DESC
        LIMIT messages_max
    ) AS newest
    ORDER BY newest.position;
END
$$;
