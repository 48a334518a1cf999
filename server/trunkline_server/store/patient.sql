What a transaction waits for, until its end.

-- name: be_patient
SELECT set_config(setting, $1, true) FROM unnest(ARRAY['statement_timeout', 'lock_timeout']) AS setting
