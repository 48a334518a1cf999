-- Where examples are found.

-- name: conversations
SELECT conversation_id, system_prompt
FROM conversation
WHERE tenant_id = $1 AND delete_time IS NULL
  AND ($2::uuid[] IS NULL OR conversation_id = ANY ($2))
  AND ($3::text IS NULL OR user_id = $3)
  AND ($4::timestamptz IS NULL OR create_time >= $4)
  AND ($5::timestamptz IS NULL OR create_time < $5)
ORDER BY conversation_id DESC
LIMIT $6

-- A part of the tenant's jobs, each with its chat where that is wanted.
-- name: jobs
SELECT id, CASE WHEN is_wanted THEN spec END, CASE WHEN is_wanted THEN result END
FROM (
    SELECT id, spec, result,
        kind = 'chat' AND state = 'succeeded' AND result IS NOT NULL
        AND ($3::text IS NULL OR user_id = $3)
        AND ($4::uuid IS NULL OR batch_id = $4)
        AND labels::jsonb @> $5::jsonb
        AND ($6::timestamptz IS NULL OR created_at >= $6)
        AND ($7::timestamptz IS NULL OR created_at < $7) AS is_wanted
    FROM job
    WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id < $2)
    ORDER BY id DESC
    LIMIT $8
) AS part
ORDER BY id DESC
