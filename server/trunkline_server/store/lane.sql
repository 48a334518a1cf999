The one statement of the group commit; `ledger_apply` is in the migrations.

-- name: apply
SELECT * FROM ledger_apply($1)
