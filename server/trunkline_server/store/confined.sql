What a transaction is confined to, until its end.

-- name: confine
SELECT set_config('trunkline.tenant', $1, true), set_config('role', 'trunkline_tenant', true)
