-- How much callers may use in a time. Every change is announced on `trunkline_limits`.

CREATE TABLE rate_limit (
    tenant_id uuid NOT NULL REFERENCES tenant,
    name text NOT NULL CHECK (name <> ''),
    user_id text NOT NULL, -- of the selector: '' does not choose, '*' counts each value apart
    key_id text NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    team text NOT NULL,
    unit text NOT NULL CHECK (unit IN ('requests', 'tokens', 'concurrency')),
    amount bigint NOT NULL CHECK (amount > 0),
    window_us bigint NOT NULL CHECK (window_us >= 0),
    algorithm text NOT NULL CHECK (algorithm IN ('bucket', 'fixed', 'sliding', 'leases')),
    burst bigint NOT NULL CHECK (burst > 0),
    set_by text NOT NULL,
    set_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, name),
    CHECK ((unit = 'concurrency') = (algorithm = 'leases')),
    CHECK ((unit = 'concurrency') = (window_us = 0))
);

CREATE FUNCTION limits_announce() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('trunkline_limits', '');
    RETURN NULL;
END
$$;

CREATE TRIGGER limits_announce AFTER INSERT OR UPDATE OR DELETE ON rate_limit
FOR EACH STATEMENT EXECUTE FUNCTION limits_announce();
