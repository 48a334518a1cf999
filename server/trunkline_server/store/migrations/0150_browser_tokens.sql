-- What browser tokens have spent. A token itself is kept nowhere; it has a row from its first call on.

CREATE TABLE browser_token (
    token_id    uuid PRIMARY KEY,
    tenant_id   uuid NOT NULL REFERENCES tenant,
    spent       bigint NOT NULL DEFAULT 0,
    expire_time timestamptz NOT NULL
);

CREATE INDEX browser_token_due ON browser_token (expire_time);

CREATE TABLE browser_token_hold (
    completion_id uuid PRIMARY KEY,
    token_id      uuid NOT NULL REFERENCES browser_token ON DELETE CASCADE,
    amount        bigint NOT NULL,
    expire_time   timestamptz NOT NULL
);

CREATE INDEX browser_token_hold_by_token ON browser_token_hold (token_id);

-- Holds what a call of a token may cost; null, or what is left where that is too little. What earlier calls did cost is
-- what their usage rows say: they are looked up here, so that settling costs the calls of others nothing. A hold whose
-- time is over counts no more, but waits for a usage row that comes late.
CREATE FUNCTION browser_token_reserve(
    token uuid, of_tenant uuid, budget bigint, token_ends timestamptz, completion uuid, needed bigint, ttl_s integer
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    gone bigint;
    held bigint;
BEGIN
    INSERT INTO browser_token (token_id, tenant_id, expire_time) VALUES (token, of_tenant, token_ends)
    ON CONFLICT DO NOTHING;
    PERFORM 1 FROM browser_token WHERE token_id = token FOR UPDATE;
    WITH done AS (
        DELETE FROM browser_token_hold AS h USING usage AS u
        WHERE h.token_id = token AND h.completion_id <> completion AND u.completion_id = h.completion_id
        RETURNING u.charge_nanos)
    UPDATE browser_token SET spent = spent + (SELECT coalesce(sum(charge_nanos), 0) FROM done)
    WHERE token_id = token RETURNING spent INTO gone;
    SELECT coalesce(sum(amount), 0) INTO held FROM browser_token_hold
    WHERE token_id = token AND completion_id <> completion AND expire_time > clock_timestamp();
    IF needed > budget - gone - held THEN
        RETURN budget - gone - held;
    END IF;
    INSERT INTO browser_token_hold (completion_id, token_id, amount, expire_time)
    VALUES (completion, token, needed, clock_timestamp() + make_interval(secs => ttl_s))
    ON CONFLICT (completion_id) DO UPDATE SET amount = excluded.amount, expire_time = excluded.expire_time;
    RETURN NULL;
END $$;
