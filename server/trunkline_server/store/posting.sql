What operators post; `ledger_transfer` in the migrations decides.

-- name: transfer
SELECT verdict, (posted).id, (posted).account_id, (posted).kind, (posted).amount, (posted).balance_after,
       (posted).hold_id, (posted).request_id, (posted).reason, (posted).created_at,
       EXISTS (SELECT FROM hold WHERE hold.id = (posted).hold_id AND hold.request_id IS NOT NULL)
FROM ledger_transfer($1, $2, $3, $4, $5, $6, $7, $8)
