-- Conversations. $1 is the conversation, $2 the tenant, $3 the end user who asks, or '' for the tenant itself.

-- name: create
INSERT INTO conversation
    (conversation_id, tenant_id, user_id, title, system_prompt, settings, metadata, participants)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
RETURNING *

-- name: find
SELECT * FROM conversation WHERE conversation_id = $1 AND conversation_is_open(conversation, $2, $3)

-- name: page
SELECT * FROM conversation
WHERE tenant_id = $1 AND delete_time IS NULL
    AND ($2 = '' OR user_id = $2 OR participants @> ARRAY[$2])
    AND ($3 = '' OR user_id = $3)
    AND ($4::uuid IS NULL OR conversation_id < $4)
ORDER BY conversation_id DESC
LIMIT $5

-- What is null stays as it is.
-- name: update
UPDATE conversation SET
    title = coalesce($4, title),
    system_prompt = coalesce($5, system_prompt),
    settings = coalesce($6, settings),
    metadata = coalesce($7, metadata),
    participants = coalesce($8, participants),
    update_time = now()
WHERE conversation_id = $1 AND conversation_is_open(conversation, $2, $3)
RETURNING *

-- name: give_title
UPDATE conversation SET title = $2 WHERE conversation_id = $1 AND title = '' AND delete_time IS NULL

-- $2: the summary; $3: the position that it reaches to; $4: the one that the last summary reached to.
-- name: sum_up
UPDATE conversation SET summary = $2, summary_through = $3
WHERE conversation_id = $1 AND summary_through = $4 AND delete_time IS NULL

-- name: delete
UPDATE conversation SET delete_time = now()
WHERE conversation_id = $1 AND conversation_is_open(conversation, $2, $3)
RETURNING conversation_id

-- name: clear
WITH cleared AS (
    UPDATE conversation SET message_count = 0, summary = '', summary_through = last_position, update_time = now()
    WHERE conversation_id = $1 AND conversation_is_open(conversation, $2, $3)
    RETURNING conversation_id
), gone AS (
    DELETE FROM conversation_message WHERE conversation_id IN (SELECT conversation_id FROM cleared) RETURNING 1
)
SELECT (SELECT count(*) FROM cleared) AS found, (SELECT count(*) FROM gone) AS removed

-- $4 is the new one's id, $5 its title or '', $6 the last position that it takes along, or null.
-- name: fork
INSERT INTO conversation
    (conversation_id, tenant_id, user_id, title, system_prompt, settings, metadata, participants, parent_id,
    message_count, last_position, summary, summary_through)
SELECT $4, tenant_id, $3, coalesce(nullif($5, ''), title), system_prompt, settings, metadata, '{}', conversation_id,
    taken.message_count, taken.last_position,
    CASE WHEN summary_through <= taken.last_position THEN summary ELSE '' END,
    CASE WHEN summary_through <= taken.last_position THEN summary_through ELSE 0 END
FROM conversation, LATERAL (
    SELECT count(*) AS message_count, coalesce(max(position), 0) AS last_position
    FROM conversation_message AS message
    WHERE message.conversation_id = conversation.conversation_id AND ($6::bigint IS NULL OR position <= $6)
) AS taken
WHERE conversation_id = $1 AND conversation_is_open(conversation, $2, $3)
RETURNING *

-- name: fork_messages
INSERT INTO conversation_message
SELECT $2, position, gen_random_uuid(), user_id, role, begins_turn, size_tokens, body, model, input_tokens, output_tokens,
    cost_nano_usd, charge_nanos, duration_ms, create_time
FROM conversation_message
WHERE conversation_id = $1 AND position <= $3

-- name: begin
UPDATE conversation SET turn_id = $4, turn_until = clock_timestamp() + make_interval(secs => $5)
WHERE conversation_id = $1 AND conversation_is_open(conversation, $2, $3)
    AND (turn_id IS NULL OR turn_id = $4 OR turn_until < clock_timestamp())
RETURNING *

-- name: renew
UPDATE conversation SET turn_until = clock_timestamp() + make_interval(secs => $2) WHERE turn_id = ANY ($1::uuid[])

-- name: release
UPDATE conversation SET turn_id = NULL, turn_until = NULL WHERE conversation_id = $1 AND turn_id = $2

-- Those whose time is over, out of reach from now on. $1: seconds since they were deleted; $2: seconds since anything
-- happened in them, 0 for any number; $3: at most so many.
-- name: due
UPDATE conversation SET delete_time = coalesce(delete_time, 'epoch')
WHERE conversation_id IN (
    SELECT conversation_id FROM conversation
    WHERE delete_time < now() - make_interval(secs => $1)
        OR ($2 > 0 AND delete_time IS NULL AND update_time < now() - make_interval(secs => $2))
    LIMIT $3
    FOR UPDATE SKIP LOCKED
)
RETURNING conversation_id

-- Some of an end user's, out of reach from now on. Those that are deleted already have an index of their own.
-- name: doom_user
UPDATE conversation SET delete_time = 'epoch'
WHERE conversation_id IN (
    SELECT conversation_id FROM conversation WHERE tenant_id = $1 AND user_id = $2 AND delete_time IS NULL
    UNION ALL
    SELECT conversation_id FROM conversation WHERE tenant_id = $1 AND user_id = $2 AND delete_time IS NOT NULL
    LIMIT $3
)
RETURNING conversation_id

-- Messages of conversations that are out of reach.
-- name: empty
DELETE FROM conversation_message WHERE (conversation_id, position) IN (
    SELECT conversation_id, position FROM conversation_message WHERE conversation_id = ANY ($1::uuid[]) LIMIT $2
)

-- name: remove
DELETE FROM conversation WHERE conversation_id = ANY ($1::uuid[])

-- What an end user said in conversations of others.
-- name: unsay
WITH said AS (
    DELETE FROM conversation_message WHERE (conversation_id, position) IN (
        SELECT conversation_id, position
        FROM conversation_message AS message JOIN conversation AS talk USING (conversation_id)
        WHERE message.user_id = $2 AND talk.tenant_id = $1 AND talk.user_id <> $2
        LIMIT $3
    )
    RETURNING conversation_id
), counted AS (
    SELECT conversation_id, count(*) AS messages FROM said GROUP BY conversation_id
), lessened AS (
    UPDATE conversation SET
        message_count = greatest(message_count - counted.messages, 0),
        summary = '',
        summary_through = 0
    FROM counted
    WHERE conversation.conversation_id = counted.conversation_id
)
SELECT count(*) FROM said

-- From some of the conversations that it takes part in.
-- name: part_with
UPDATE conversation SET participants = array_remove(participants, $2)
WHERE conversation_id IN (
    SELECT conversation_id FROM conversation WHERE tenant_id = $1 AND participants @> ARRAY[$2] AND delete_time IS NULL
    UNION ALL
    SELECT conversation_id FROM conversation
    WHERE tenant_id = $1 AND participants @> ARRAY[$2] AND delete_time IS NOT NULL
    LIMIT $3
)
