The audit of the ledger: rows that should not be.

-- name: take_time
SET LOCAL statement_timeout = 0

-- name: drift
WITH
posted AS (
    SELECT account_id,
           coalesce(sum(amount) FILTER (WHERE amount > 0), 0) AS credit,
           coalesce(-sum(amount) FILTER (WHERE amount < 0), 0) AS debit
    FROM transfer GROUP BY account_id
),
last AS (
    SELECT DISTINCT ON (account_id) account_id, balance_after FROM transfer ORDER BY account_id, id DESC
),
promised AS (
    SELECT account_id, sum(amount) AS held FROM hold WHERE state = 'held' GROUP BY account_id
),
by_hold AS (
    SELECT hold_id,
           coalesce(-sum(amount) FILTER (WHERE kind <> 'refund'), 0) AS charged,
           coalesce(sum(amount) FILTER (WHERE kind = 'refund'), 0) AS refunded
    FROM transfer WHERE hold_id IS NOT NULL GROUP BY hold_id
)
SELECT 'posted', a.id::text, format('credit %s debit %s, transfers %s and %s', posted_credit, posted_debit, credit, debit)
FROM account a LEFT JOIN posted p ON p.account_id = a.id
WHERE (posted_credit, posted_debit) <> (coalesce(credit, 0), coalesce(debit, 0))
UNION ALL
SELECT 'running', a.id::text, format('balance %s, last transfer says %s', posted_credit - posted_debit, balance_after)
FROM account a JOIN last l ON l.account_id = a.id
WHERE posted_credit - posted_debit <> balance_after
UNION ALL
SELECT 'held', a.id::text, format('held %s, holds %s', a.held, p.held)
FROM account a LEFT JOIN promised p ON p.account_id = a.id
WHERE a.held <> coalesce(p.held, 0)
UNION ALL
SELECT 'orphan', o.account_id::text, 'transfers or holds without an account'
FROM (SELECT account_id FROM posted UNION SELECT account_id FROM promised) o
WHERE NOT EXISTS (SELECT FROM account WHERE id = o.account_id)
UNION ALL
SELECT 'charge', coalesce(h.id, b.hold_id)::text, format('hold charged %s, transfers %s', h.charged, b.charged)
FROM hold h FULL JOIN by_hold b ON b.hold_id = h.id
WHERE coalesce(h.charged, 0) <> coalesce(b.charged, 0) OR h.id IS NULL
UNION ALL
SELECT 'refund', b.hold_id::text, format('refunded %s of %s', refunded, charged)
FROM by_hold b
WHERE refunded > charged
UNION ALL
SELECT 'limit', a.id::text, format('available %s, allowed overrun %s', ledger_available(a), overrun)
FROM account a
WHERE NOT unlimited AND ledger_available(a) + overrun < 0
UNION ALL
SELECT 'zero', 'all accounts', format('balances %s, transfers %s', balances, transfers)
FROM (SELECT coalesce(sum(posted_credit::numeric - posted_debit), 0) AS balances FROM account) x,
     (SELECT coalesce(sum(amount), 0) AS transfers FROM transfer) y
WHERE balances <> transfers
