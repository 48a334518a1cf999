-- Usage by the month, so that what is old can be dropped as a whole. No key keeps its rows apart, and none did: a call
-- has one row because `ledger_close` hands its usage on once, when its hold is closed.

SET LOCAL timezone = 'UTC';

SELECT usage_take();
DROP FUNCTION usage_take();

-- The table of so far, with its indexes as they are, takes what is older than the month after the next.
DO $$
DECLARE
    bound timestamptz := (SELECT substring(pg_get_constraintdef(oid) FROM '''(.+)''') FROM pg_constraint
                          WHERE conrelid = 'usage'::regclass AND conname = 'usage_so_far');
    so_far text := to_char(bound - interval '1 month', '"usage_"YYYY_MM');
BEGIN
    DROP TRIGGER budgets_spend ON usage;
    DROP TRIGGER usage_told ON usage;
    REVOKE ALL ON usage FROM trunkline_tenant;
    EXECUTE format('ALTER TABLE usage RENAME TO %I', so_far);
    EXECUTE format('ALTER INDEX usage_by_time RENAME TO %I', so_far || '_by_time');
    EXECUTE format('ALTER INDEX usage_by_completion RENAME TO %I', so_far || '_by_completion');
    EXECUTE format('ALTER INDEX usage_recent RENAME TO %I', so_far || '_recent');
    EXECUTE format('CREATE TABLE usage (LIKE %I INCLUDING DEFAULTS) PARTITION BY RANGE (create_time)', so_far);
    CREATE INDEX usage_by_time ON usage (tenant_id, create_time);
    CREATE INDEX usage_by_completion ON usage (completion_id);
    CREATE INDEX usage_recent ON usage USING brin (create_time) WITH (pages_per_range = 16);
    EXECUTE format('ALTER TABLE usage ATTACH PARTITION %I FOR VALUES FROM (MINVALUE) TO (%L)', so_far, bound);
    EXECUTE format('ALTER TABLE %I DROP CONSTRAINT usage_so_far', so_far);
END $$;

-- Where a row goes whose month nobody has made: a call is never refused for that.
CREATE TABLE usage_rest PARTITION OF usage DEFAULT;

SELECT confine('usage');
GRANT SELECT ON usage TO trunkline_tenant;

CREATE TRIGGER budgets_spend AFTER INSERT ON usage REFERENCING NEW TABLE AS fresh
FOR EACH STATEMENT EXECUTE FUNCTION budgets_spend();
CREATE TRIGGER usage_told AFTER INSERT ON usage REFERENCING NEW TABLE AS fresh
FOR EACH STATEMENT EXECUTE FUNCTION usage_told();

-- Makes the months that are not there yet, up to the one of a moment; rows that came too early for theirs move there.
CREATE FUNCTION usage_months(up_to timestamptz) RETURNS void LANGUAGE plpgsql
SET timezone = 'UTC' SET lock_timeout = '200ms' AS $$
DECLARE
    first_day timestamptz;
    next_month timestamptz;
    of_month text;
BEGIN
    PERFORM pg_advisory_xact_lock(7310580);
    LOOP
        SELECT max(to_timestamp(right(inhrelid::regclass::text, 7), 'YYYY_MM')) + interval '1 month' INTO first_day
        FROM pg_inherits WHERE inhparent = 'usage'::regclass AND inhrelid <> 'usage_rest'::regclass;
        EXIT WHEN first_day > up_to;
        next_month := first_day + interval '1 month';
        of_month := to_char(first_day, '"usage_"YYYY_MM');
        LOCK TABLE ONLY usage IN SHARE UPDATE EXCLUSIVE MODE;
        LOCK TABLE usage_rest;
        EXECUTE format('CREATE TABLE %I (LIKE usage INCLUDING DEFAULTS INCLUDING INDEXES)', of_month);
        EXECUTE format('WITH moved AS (DELETE FROM usage_rest WHERE create_time >= %L AND create_time < %L RETURNING *) '
                       'INSERT INTO %I SELECT * FROM moved', first_day, next_month, of_month);
        EXECUTE format('ALTER TABLE usage ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                       of_month, first_day, next_month);
    END LOOP;
END $$;

SELECT usage_months(now() + interval '2 months');

-- As before; nobody writes but through the whole, so its months need not be locked.
CREATE OR REPLACE FUNCTION usage_quiet_until() RETURNS timestamptz LANGUAGE plpgsql SET lock_timeout = '200ms' AS $$
BEGIN
    LOCK TABLE ONLY usage IN SHARE MODE;
    RETURN clock_timestamp();
EXCEPTION WHEN lock_not_available THEN
    RETURN NULL;
END $$;

-- A call as a number that is summed to count how many took how long: 1 at the decimal digits of its step, of which each
-- has twelve.
CREATE FUNCTION usage_steps(ms bigint) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ('1e' || (12 * usage_step(ms))::text)::numeric
$$;

CREATE OR REPLACE VIEW usage_line WITH (security_invoker = true) AS
SELECT tenant_id, create_time, operation, provider, model, user_id, key_id, labels, completion_id,
       1::bigint AS calls,
       (outcome = 'OUTCOME_FAILED')::integer::bigint AS failed,
       (outcome = 'OUTCOME_CANCELLED')::integer::bigint AS cancelled,
       (basis = 'provider_usage')::integer::bigint AS reported,
       attempts::bigint AS attempts,
       input_tokens, cached_input_tokens, cache_write_input_tokens, output_tokens, reasoning_output_tokens,
       cost_nano_usd, charge_nanos,
       CASE WHEN outcome <> 'OUTCOME_FAILED' THEN duration_ms ELSE 0 END::bigint AS duration_ms,
       (first_token_ms > 0)::integer::bigint AS first_tokens,
       first_token_ms::bigint AS first_token_ms,
       CASE WHEN output_tokens > 0 THEN duration_ms ELSE 0 END::bigint AS speaking_ms,
       CASE WHEN outcome <> 'OUTCOME_FAILED' THEN usage_steps(duration_ms) ELSE 0 END AS duration_steps,
       CASE WHEN first_token_ms > 0 THEN usage_steps(first_token_ms) ELSE 0 END AS first_token_steps
FROM usage;

-- For replicas of the version before.
CREATE OR REPLACE VIEW usage_timing WITH (security_invoker = true) AS
SELECT tenant_id, create_time, operation, provider, model, user_id, key_id, labels, measure, usage_step(ms) AS step,
       1::bigint AS calls
FROM usage CROSS JOIN LATERAL (
    VALUES ('duration', duration_ms, outcome <> 'OUTCOME_FAILED'), ('first_token', first_token_ms, first_token_ms > 0)
) AS timed (measure, ms, counts)
WHERE counts;
