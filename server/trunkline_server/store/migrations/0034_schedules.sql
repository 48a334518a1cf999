-- Work that is done again and again, once over all replicas: when each was last begun, and how it ended.

CREATE TABLE schedule (
    name        text PRIMARY KEY,
    every_s     double precision NOT NULL CHECK (every_s > 0),
    next_at     timestamptz NOT NULL,
    begun_at    timestamptz,
    ended_at    timestamptz,
    failure     text NOT NULL DEFAULT '',
    run_count   bigint NOT NULL DEFAULT 0
);
