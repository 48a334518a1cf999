The tidying of the ledger.

-- name: lapse
SELECT ledger_lapse_due($1)

-- A minute later than what goes: a hold is closed a moment before its transfer is written, and the audit reads those.
-- name: mark
UPDATE hold_purge SET closed_before = greatest(closed_before, clock_timestamp() - $1::interval + interval '1 minute')

-- name: purge
DELETE FROM hold WHERE id IN (
    SELECT id FROM hold
    WHERE closed_at < statement_timestamp() - $1::interval
    LIMIT $2
    FOR UPDATE SKIP LOCKED
)
