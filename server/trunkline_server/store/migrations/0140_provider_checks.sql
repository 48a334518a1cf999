-- What the last look at each provider found, whichever replica looked.
CREATE TABLE provider_check (
    provider     text PRIMARY KEY,
    failure_kind text NOT NULL,     -- empty: it answered
    failures     integer NOT NULL,  -- in a row
    duration_ms  integer NOT NULL,
    check_time   timestamptz NOT NULL DEFAULT clock_timestamp()
);
