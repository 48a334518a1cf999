-- Answers by what their questions mean. Each scope is small, so all of it is compared: an index over the vectors of all
-- tenants would find those of others first, and then none.

-- name: has_vector
SELECT to_regtype('vector') IS NOT NULL

-- name: find
SELECT answer, expire_time, 1 - (vector::vector <=> $3::real[]::vector) AS similarity
FROM similar_answer
WHERE tenant_id = $1 AND scope = $2 AND expire_time > clock_timestamp()
ORDER BY vector::vector <=> $3::real[]::vector
LIMIT 1

-- name: find_without_vector
SELECT answer, expire_time, similarity
FROM similar_answer, LATERAL (SELECT sum(one * other) AS similarity FROM unnest(vector, $3::real[]) AS pair (one, other)) AS told
WHERE tenant_id = $1 AND scope = $2 AND expire_time > clock_timestamp()
ORDER BY similarity DESC
LIMIT 1

-- name: keep
WITH oldest AS (
    DELETE FROM similar_answer
    WHERE (tenant_id, scope) = ($1, $2) AND question IN (
        SELECT question FROM similar_answer WHERE (tenant_id, scope) = ($1, $2)
        ORDER BY create_time DESC OFFSET $9::integer - 1)
      AND question <> $3
)
INSERT INTO similar_answer (tenant_id, scope, question, provider, model, vector, answer, expire_time)
VALUES ($1, $2, $3, $4, $5, $6, $7, clock_timestamp() + make_interval(secs => $8))
ON CONFLICT (tenant_id, scope, question) DO UPDATE SET
    vector = excluded.vector, answer = excluded.answer, expire_time = excluded.expire_time,
    create_time = clock_timestamp()

-- name: purge
WITH gone AS (
    DELETE FROM similar_answer WHERE tenant_id = $1 AND $2 IN ('', provider) AND $3 IN ('', model) RETURNING 1
)
SELECT count(*) FROM gone

-- name: forget
DELETE FROM similar_answer WHERE expire_time <= statement_timestamp()

-- name: thin
DELETE FROM similar_answer AS s USING (
    SELECT tenant_id, scope, question, row_number() OVER (PARTITION BY tenant_id ORDER BY create_time DESC) AS place
    FROM similar_answer) AS numbered
WHERE place > $1 AND (s.tenant_id, s.scope, s.question) = (numbered.tenant_id, numbered.scope, numbered.question)
