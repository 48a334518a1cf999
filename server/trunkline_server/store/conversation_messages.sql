-- Messages of conversations. $1 is the conversation, which was found before.

-- Places are given out under the lock of the conversation's row. $2: the turn that ends with it, or null; $3: a title for
-- one that has none.
-- name: append
WITH place AS (
    UPDATE conversation SET
        message_count = message_count + cardinality($4::uuid[]),
        last_position = last_position + cardinality($4::uuid[]),
        title = CASE WHEN title = '' THEN $3 ELSE title END,
        turn_id = CASE WHEN turn_id = $2 THEN NULL ELSE turn_id END,
        turn_until = CASE WHEN turn_id = $2 THEN NULL ELSE turn_until END,
        update_time = clock_timestamp()
    WHERE conversation_id = $1 AND delete_time IS NULL
    RETURNING last_position, message_count, update_time
), added AS (
    INSERT INTO conversation_message
        (conversation_id, position, message_id, user_id, role, begins_turn, size_tokens, body, model, input_tokens,
        output_tokens, cost_nano_usd, charge_nanos, duration_ms)
    SELECT $1, last_position - cardinality($4::uuid[]) + new.place, new.message_id, new.user_id, new.role, new.begins_turn,
        new.size_tokens, new.body, new.model, new.input_tokens, new.output_tokens, new.cost_nano_usd,
        new.charge_nanos, new.duration_ms
    FROM place, unnest(
        $4::uuid[], $5::text[], $6::smallint[], $7::boolean[], $8::integer[], $9::bytea[], $10::text[],
        $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[]
    ) WITH ORDINALITY AS new (
        message_id, user_id, role, begins_turn, size_tokens, body, model, input_tokens,
        output_tokens, cost_nano_usd, charge_nanos, duration_ms, place
    )
)
SELECT last_position, message_count, update_time FROM place

-- The newest messages: at most so many, and at most so many tokens together.
-- name: tail
SELECT position, begins_turn, body FROM conversation_tail($1, $2, $3)

-- Behind $2 and up to $3, oldest first: at most so many, and no more once there are so many tokens.
-- name: between
SELECT position, begins_turn, body
FROM (
    SELECT position, begins_turn, body, sum(size_tokens) OVER (ORDER BY position) - size_tokens AS tokens_before
    FROM conversation_message
    WHERE conversation_id = $1 AND position > $2 AND position <= $3
    ORDER BY position
    LIMIT $4
) AS next
WHERE tokens_before < $5
ORDER BY position

-- name: last_turn
SELECT position, begins_turn, body FROM conversation_last_turn($1, $2)

-- name: oldest
SELECT position, message_id, body, create_time
FROM conversation_message
WHERE conversation_id = $1 AND ($2::bigint IS NULL OR position > $2)
ORDER BY position
LIMIT $3

-- name: newest
SELECT position, message_id, body, create_time
FROM conversation_message
WHERE conversation_id = $1 AND ($2::bigint IS NULL OR position < $2)
ORDER BY position DESC
LIMIT $3

-- name: stats
SELECT
    count(*) AS message_count,
    count(*) FILTER (WHERE role = 3) AS user_message_count,
    count(*) FILTER (WHERE role = 4) AS assistant_message_count,
    coalesce(sum(input_tokens), 0)::bigint AS input_tokens,
    coalesce(sum(output_tokens), 0)::bigint AS output_tokens,
    coalesce(sum(cost_nano_usd), 0)::bigint AS cost_nano_usd,
    coalesce(sum(charge_nanos), 0)::bigint AS charge_nanos,
    coalesce(avg(duration_ms) FILTER (WHERE model <> ''), 0)::bigint AS average_duration_ms,
    array_agg(DISTINCT model ORDER BY model) FILTER (WHERE model <> '') AS models,
    min(create_time) AS first_time,
    max(create_time) AS last_time
FROM conversation_message
WHERE conversation_id = $1
