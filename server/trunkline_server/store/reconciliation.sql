The audit of the ledger: rows that should not be. `$1`: all of the past, or what came since the last good audit.

-- name: snapshot
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ

-- name: begin
SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SET LOCAL work_mem = '64MB'; SET LOCAL jit = off

-- Before the first look at anything: what is seen then is what stands once the audit before has ended.
-- name: wait
LOCK TABLE ledger_audit IN SHARE ROW EXCLUSIVE MODE

-- name: alone
LOCK TABLE ledger_audit IN SHARE ROW EXCLUSIVE MODE NOWAIT

-- name: due
SELECT NOT EXISTS (SELECT FROM ledger_audit WHERE create_time > clock_timestamp() - $1::interval)

-- The accounts to look at and their movements: in an audit of what is new, those whose numbers are not the ones that were
-- found right, and those that newer transfers name.
-- name: touch
CREATE TEMPORARY TABLE touched ON COMMIT DROP AS
SELECT account_id, coalesce(mark.transfer_id, 0) AS transfer_id,
       coalesce(mark.posted_credit, 0) AS posted_credit, coalesce(mark.posted_debit, 0) AS posted_debit
FROM (
    SELECT a.id AS account_id FROM account a LEFT JOIN audit_mark m ON m.account_id = a.id
    WHERE (a.posted_credit, a.posted_debit) IS DISTINCT FROM (m.posted_credit, m.posted_debit)
    UNION
    SELECT account_id FROM transfer WHERE id > (SELECT coalesce(max(through_id), 0) FROM ledger_audit WHERE finding_count = 0)
) AS these
LEFT JOIN audit_mark AS mark USING (account_id)

-- name: touch_all
CREATE TEMPORARY TABLE touched ON COMMIT DROP AS
SELECT account_id, 0::bigint AS transfer_id, 0::bigint AS posted_credit, 0::bigint AS posted_debit
FROM (SELECT id AS account_id FROM account UNION SELECT account_id FROM transfer UNION SELECT account_id FROM hold) AS every

-- name: collect
CREATE TEMPORARY TABLE fresh ON COMMIT DROP AS
SELECT t.id, t.account_id, t.kind, t.amount, t.balance_after, t.hold_id, t.created_at
FROM touched, LATERAL (SELECT * FROM transfer WHERE account_id = touched.account_id AND id > touched.transfer_id) AS t

-- name: collect_all
CREATE TEMPORARY TABLE fresh ON COMMIT DROP AS
SELECT id, account_id, kind, amount, balance_after, hold_id, created_at FROM transfer

-- name: study
ANALYZE touched, fresh

-- name: drift
WITH
posted AS (
    SELECT account_id, touched.posted_credit + coalesce(sum(amount) FILTER (WHERE amount > 0), 0) AS credit,
           touched.posted_debit - coalesce(sum(amount) FILTER (WHERE amount < 0), 0) AS debit
    FROM touched LEFT JOIN fresh USING (account_id)
    GROUP BY account_id, touched.posted_credit, touched.posted_debit
),
last AS (
    SELECT DISTINCT ON (account_id) account_id, balance_after FROM fresh ORDER BY account_id, id DESC
),
promised AS (
    SELECT account_id, sum(amount) AS held FROM hold WHERE state = 'held' GROUP BY account_id
),
charged AS (
    SELECT hold_id, -sum(amount) AS charged, min(created_at) AS since
    FROM fresh WHERE kind IN ('settle', 'overage', 'late_settle') GROUP BY hold_id
),
refunded AS (
    SELECT hold_id, account_id, sum(amount) AS refunded
    FROM transfer
    WHERE kind IN ('refund', 'reprice') AND hold_id IN (SELECT hold_id FROM fresh WHERE kind IN ('refund', 'reprice'))
    GROUP BY hold_id, account_id
),
dated AS (
    SELECT account_id, sum(remaining) AS remaining, min(expires_at) AS lapse_at
    FROM credit WHERE remaining > 0 GROUP BY account_id
)
SELECT 'posted', a.id::text, format('credit %s debit %s, transfers %s and %s', a.posted_credit, a.posted_debit, credit, debit)
FROM account a JOIN posted p ON p.account_id = a.id
WHERE (a.posted_credit, a.posted_debit) <> (credit, debit)
UNION ALL
SELECT 'running', a.id::text, format('balance %s, last transfer says %s', posted_credit - posted_debit, balance_after)
FROM account a JOIN last l ON l.account_id = a.id
WHERE posted_credit - posted_debit <> balance_after
UNION ALL
SELECT 'held', a.id::text, format('held %s, holds %s', a.held, coalesce(p.held, 0))
FROM account a LEFT JOIN promised p ON p.account_id = a.id
WHERE a.held <> coalesce(p.held, 0)
UNION ALL
SELECT 'overdue', id::text, format('held since %s, ended %s', created_at, expires_at)
FROM hold
WHERE state = 'held' AND expires_at < clock_timestamp() - interval '30 s'
UNION ALL
SELECT 'orphan', o.account_id::text, 'transfers or holds without an account'
FROM (SELECT account_id FROM touched UNION SELECT account_id FROM promised) o
WHERE NOT EXISTS (SELECT FROM account WHERE id = o.account_id)
UNION ALL
SELECT 'charge', c.hold_id::text, format('hold charged %s, transfers %s', h.charged, c.charged)
FROM charged c LEFT JOIN hold h ON h.id = c.hold_id
WHERE coalesce(h.charged, 0) <> c.charged AND (h.id IS NOT NULL OR since >= (SELECT closed_before FROM hold_purge))
UNION ALL
SELECT 'refund', r.hold_id::text, format('refunded %s of %s', refunded, h.charged)
FROM refunded r JOIN hold h ON h.id = r.hold_id
WHERE refunded > coalesce(h.charged, 0)
UNION ALL
SELECT 'limit', a.id::text, format('available %s, allowed overrun %s', ledger_available(a), overrun)
FROM account a
WHERE NOT unlimited AND ledger_available(a) + overrun < 0
UNION ALL
SELECT 'credit', a.id::text, format('%s with an end of a balance of %s, next end %s, noted %s',
                                    d.remaining, posted_credit - posted_debit, d.lapse_at, a.lapse_at)
FROM account a LEFT JOIN dated d ON d.account_id = a.id
WHERE coalesce(d.remaining, 0) > greatest(0, posted_credit - posted_debit) OR a.lapse_at IS DISTINCT FROM d.lapse_at
UNION ALL
SELECT 'zero', 'all accounts', format('balances %s, transfers %s', balances, transfers)
FROM (SELECT coalesce(sum(a.posted_credit::numeric - a.posted_debit), 0) AS balances
      FROM account a JOIN touched ON account_id = a.id) x,
     (SELECT coalesce(sum(amount), 0) + (SELECT coalesce(sum(posted_credit::numeric - posted_debit), 0) FROM touched)
          AS transfers FROM fresh) y
WHERE balances <> transfers

-- Only with the whole past at hand: charges that no transfer tells of.
-- name: unposted
SELECT 'charge', id::text, format('hold charged %s, no transfers', charged)
FROM hold
WHERE charged > 0 AND NOT EXISTS (
    SELECT FROM fresh WHERE hold_id = hold.id AND kind IN ('settle', 'overage', 'late_settle'))

-- What a call's row of usage says it was charged, and the hold of that name. One that was released may have moved.
-- name: usage
SELECT completion_id, charge_nanos, h.charged, h.state
FROM usage JOIN hold h ON h.id = completion_id
WHERE charge_nanos <> coalesce(h.charged, 0)
  AND ($1 OR create_time > (SELECT coalesce(max(create_time), '-infinity') - interval '1 minute'
                            FROM ledger_audit WHERE finding_count = 0))

-- name: hold_charge
SELECT charged, state FROM hold WHERE id = $1

-- name: mark
INSERT INTO audit_mark (account_id, transfer_id, posted_credit, posted_debit)
SELECT account_id, greatest(touched.transfer_id, coalesce(max(fresh.id), 0)), a.posted_credit, a.posted_debit
FROM touched JOIN account a ON a.id = account_id LEFT JOIN fresh USING (account_id)
GROUP BY account_id, touched.transfer_id, a.posted_credit, a.posted_debit
ON CONFLICT (account_id) DO UPDATE SET
    transfer_id = excluded.transfer_id, posted_credit = excluded.posted_credit, posted_debit = excluded.posted_debit

-- name: note
INSERT INTO ledger_audit (whole, through_id, accounts, transfers, finding_count, duration_ms)
SELECT $1, greatest((SELECT coalesce(max(id), 0) FROM fresh), (SELECT coalesce(max(through_id), 0) FROM ledger_audit)),
       (SELECT count(*) FROM touched), (SELECT count(*) FROM fresh), $2,
       extract(epoch FROM clock_timestamp() - now()) * 1000
RETURNING accounts, transfers, duration_ms

-- name: forget
DELETE FROM ledger_audit WHERE create_time < clock_timestamp() - interval '30 days'

-- name: tell
INSERT INTO event (tenant_id, type, body)
SELECT DISTINCT ON (rule, subject) owner.tenant_id, 'LedgerAuditFailed', told.body
FROM unnest($1::text[], $2::text[]) AS found (rule, subject)
CROSS JOIN LATERAL (
    SELECT CASE WHEN subject ~ '^[0-9a-f-]{36}$' THEN subject::uuid END AS id,
           json_build_object('rule', rule, 'subject', subject) AS body) AS told
CROSS JOIN LATERAL (
    SELECT tenant_id FROM account WHERE account.id = told.id
    UNION SELECT tenant_id FROM hold WHERE hold.id = told.id
    UNION SELECT tenant_id FROM usage WHERE completion_id = told.id) AS owner
WHERE NOT EXISTS (
    SELECT FROM event AS past
    WHERE past.tenant_id = owner.tenant_id AND type = 'LedgerAuditFailed' AND past.body::text = told.body::text
      AND create_time > clock_timestamp() - interval '1 day')
