-- Budgets as operators set them, and their windows. The decisions are functions of the migration.

-- name: all
SELECT tenant_id, name, user_id, key_id, provider, model, team, period, time_zone, unit, amount, hard, thresholds,
       spike_percent
FROM budget ORDER BY tenant_id, name COLLATE "C"

-- name: knows_zone
SELECT EXISTS (SELECT FROM pg_timezone_names WHERE name = $1)

-- name: set
SELECT budget_set($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)

-- name: delete
DELETE FROM budget WHERE tenant_id = $1 AND name = $2 RETURNING name

-- name: reserve
SELECT refused_by, of_unit, of_amount, needed, remaining, opens_s FROM budget_reserve($1, $2, $3, $4, $5, $6)

-- name: release
DELETE FROM budget_hold WHERE completion_id = $1

-- name: expire
DELETE FROM budget_hold WHERE (completion_id, budget_id, subject) IN (
    SELECT completion_id, budget_id, subject FROM budget_hold WHERE expire_time < statement_timestamp() - interval '1 minute'
    LIMIT 500 FOR UPDATE SKIP LOCKED)

-- Windows of long ago, with what was noted of them. $1: how many hours, days or months of each budget stay.
-- name: forget
WITH gone AS (
    DELETE FROM budget_window WHERE (budget_id, subject, start_time) IN (
        SELECT old.budget_id, old.subject, old.start_time FROM budget AS b CROSS JOIN LATERAL (
            SELECT w.budget_id, w.subject, w.start_time FROM budget_window AS w
            WHERE w.budget_id = b.id AND w.start_time < statement_timestamp() - $1 * ('1 ' || b.period)::interval
            ORDER BY w.start_time LIMIT $2 FOR UPDATE SKIP LOCKED) AS old
        LIMIT $2)
    RETURNING budget_id, subject, start_time
), silent AS (
    DELETE FROM budget_alert WHERE (budget_id, subject, start_time) IN (SELECT budget_id, subject, start_time FROM gone)
)
SELECT count(*) FROM gone

-- The windows of now; with a name, of one budget. A counter that nothing was spent on yet has none.
-- name: windows
SELECT b.name, w.subject, w.start_time, w.end_time, w.spent,
       (SELECT coalesce(sum(h.amount), 0)::bigint FROM budget_hold AS h
        WHERE h.budget_id = b.id AND h.subject = w.subject AND h.expire_time > clock_timestamp()) AS held,
       ARRAY(SELECT percent FROM budget_alert AS a
             WHERE (a.budget_id, a.subject, a.start_time) = (b.id, w.subject, w.start_time) AND kind = 'threshold'
             ORDER BY percent) AS thresholds_passed,
       EXISTS (SELECT FROM budget_alert AS a
               WHERE (a.budget_id, a.subject, a.start_time) = (b.id, w.subject, w.start_time) AND kind = 'spike') AS spiked
FROM budget AS b
JOIN budget_window AS w ON w.budget_id = b.id AND w.start_time = budget_start(b, statement_timestamp())
WHERE b.tenant_id = $1 AND b.name = ANY ($2)
ORDER BY b.name COLLATE "C", w.spent DESC, w.subject
LIMIT 1000
