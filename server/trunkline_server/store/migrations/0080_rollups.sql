-- Usage summed in advance, by the hour and by the day, and events of tenants' own. The rows of usage stay what is true:
-- what lies here can be thrown away and made again. All of it is cut into months, which are dropped as a whole.

-- Hours that are over, from `floor` up to `until`, are here; the days among them in the tables by day.
CREATE TABLE rollup (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    floor timestamptz NOT NULL,
    until timestamptz NOT NULL CHECK (until >= floor)
);

CREATE TABLE usage_hour (
    tenant_id                uuid NOT NULL,
    start_time               timestamptz NOT NULL,
    operation                text NOT NULL,
    provider                 text NOT NULL,
    model                    text NOT NULL,
    calls                    bigint NOT NULL,
    failed                   bigint NOT NULL,
    cancelled                bigint NOT NULL,
    reported                 bigint NOT NULL,
    attempts                 bigint NOT NULL,
    input_tokens             bigint NOT NULL,
    cached_input_tokens      bigint NOT NULL,
    cache_write_input_tokens bigint NOT NULL,
    output_tokens            bigint NOT NULL,
    reasoning_output_tokens  bigint NOT NULL,
    cost_nano_usd            bigint NOT NULL,
    charge_nanos             bigint NOT NULL,
    duration_ms              bigint NOT NULL,  -- of calls that did not fail
    first_tokens             bigint NOT NULL,  -- calls whose first token was timed
    first_token_ms           bigint NOT NULL,
    speaking_ms              bigint NOT NULL,  -- of calls that made tokens
    PRIMARY KEY (tenant_id, start_time, operation, provider, model)
) PARTITION BY RANGE (start_time);

-- The same by the day, each user and key apart.
CREATE TABLE usage_day (
    LIKE usage_hour,
    user_id text NOT NULL,
    key_id  text NOT NULL,
    PRIMARY KEY (tenant_id, start_time, operation, provider, model, user_id, key_id)
) PARTITION BY RANGE (start_time);

CREATE INDEX usage_day_by_user ON usage_day (tenant_id, user_id, start_time);

-- How long the calls of a day took, in steps of a twelfth of an octave.
CREATE TABLE usage_pace (
    tenant_id  uuid NOT NULL,
    start_time timestamptz NOT NULL,
    operation  text NOT NULL,
    provider   text NOT NULL,
    model      text NOT NULL,
    measure    text NOT NULL CHECK (measure IN ('duration', 'first_token')),
    step       smallint NOT NULL,
    calls      bigint NOT NULL,
    PRIMARY KEY (tenant_id, start_time, operation, provider, model, measure, step)
) PARTITION BY RANGE (start_time);

CREATE TABLE custom_event (
    tenant_id   uuid NOT NULL,
    user_id     text NOT NULL,
    name        text NOT NULL,
    value       double precision NOT NULL,
    labels      jsonb NOT NULL,
    create_time timestamptz NOT NULL
) PARTITION BY RANGE (create_time);

CREATE INDEX custom_event_by_time ON custom_event (tenant_id, create_time);

-- What repricing has changed of the calls of an hour: it comes when the hour is long over.
CREATE TABLE usage_mended (
    tenant_id     uuid NOT NULL,
    start_time    timestamptz NOT NULL,
    operation     text NOT NULL,
    provider      text NOT NULL,
    model         text NOT NULL,
    user_id       text NOT NULL,
    key_id        text NOT NULL,
    cost_nano_usd bigint NOT NULL,
    charge_nanos  bigint NOT NULL,
    PRIMARY KEY (tenant_id, start_time, operation, provider, model, user_id, key_id)
);

CREATE FUNCTION usage_step(ms bigint) RETURNS smallint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT round(12 * ln(greatest(ms, 1)) / ln(2.0::double precision))::smallint
$$;

CREATE FUNCTION usage_step_ms(step integer) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT round(power(2.0::double precision, step / 12.0))::bigint
$$;

-- Makes room for the month of a moment. Two who do it at once would both create the table.
CREATE FUNCTION rollup_month(at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    first_day timestamptz := date_trunc('month', at, 'UTC');
    next_month timestamptz := date_trunc('month', at, 'UTC') + interval '1 month';
    of_month text := to_char(first_day AT TIME ZONE 'UTC', 'YYYY_MM');
    whole text;
BEGIN
    IF to_regclass('custom_event_' || of_month) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(7310580);
    FOREACH whole IN ARRAY ARRAY['usage_hour', 'usage_day', 'usage_pace', 'custom_event'] LOOP
        EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                       whole || '_' || of_month, whole, first_day, next_month);
    END LOOP;
END $$;

-- A moment before which no row of usage will come any more: whoever was writing one has ended. Null: somebody has been at
-- it for too long to be waited for, because who comes later waits as well.
CREATE FUNCTION usage_quiet_until() RETURNS timestamptz LANGUAGE plpgsql SET lock_timeout = '200ms' AS $$
BEGIN
    LOCK TABLE usage IN SHARE MODE;
    RETURN clock_timestamp();
EXCEPTION WHEN lock_not_available THEN
    RETURN NULL;
END $$;

-- A row of usage as a line of the sums.
CREATE VIEW usage_line AS
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
       CASE WHEN output_tokens > 0 THEN duration_ms ELSE 0 END::bigint AS speaking_ms
FROM usage;

-- What is timed of it: one line for each thing.
CREATE VIEW usage_timing AS
SELECT tenant_id, create_time, operation, provider, model, user_id, key_id, labels, measure, usage_step(ms) AS step,
       1::bigint AS calls
FROM usage CROSS JOIN LATERAL (
    VALUES ('duration', duration_ms, outcome <> 'OUTCOME_FAILED'), ('first_token', first_token_ms, first_token_ms > 0)
) AS timed (measure, ms, counts)
WHERE counts;

-- Sums the hours since the last time, up to the end of their day, or to a moment that is quiet. True: there is more.
CREATE FUNCTION rollup_step(quiet timestamptz, keep interval) RETURNS boolean LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE
    r rollup;
    today timestamptz;
    till timestamptz;
BEGIN
    INSERT INTO rollup (floor, until)
    SELECT first_day, first_day
    FROM (SELECT greatest(date_trunc('month', quiet - keep), date_trunc('day', coalesce(min(create_time), quiet)))
              AS first_day
          FROM usage WHERE NOT EXISTS (SELECT FROM rollup)) AS found
    WHERE NOT EXISTS (SELECT FROM rollup)
    ON CONFLICT DO NOTHING;
    SELECT * INTO r FROM rollup FOR UPDATE;
    today := date_trunc('day', r.until);
    till := least(today + interval '1 day', date_trunc('hour', quiet));
    IF till <= r.until THEN
        RETURN false;
    END IF;
    PERFORM rollup_month(today);
    INSERT INTO usage_hour
    SELECT tenant_id, date_trunc('hour', create_time), operation, provider, model,
           sum(calls), sum(failed), sum(cancelled), sum(reported), sum(attempts), sum(input_tokens),
           sum(cached_input_tokens), sum(cache_write_input_tokens), sum(output_tokens), sum(reasoning_output_tokens),
           sum(cost_nano_usd), sum(charge_nanos), sum(duration_ms), sum(first_tokens), sum(first_token_ms),
           sum(speaking_ms)
    FROM usage_line WHERE create_time >= r.until AND create_time < till
    GROUP BY 1, 2, 3, 4, 5;
    IF till = today + interval '1 day' THEN
        PERFORM rollup_day(today);
    END IF;
    UPDATE rollup SET until = till;
    RETURN till < date_trunc('hour', quiet);
END $$;

-- What is kept by the day, of a day that is over.
CREATE FUNCTION rollup_day(first_hour timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO usage_day
    SELECT tenant_id, first_hour, operation, provider, model,
           sum(calls), sum(failed), sum(cancelled), sum(reported), sum(attempts), sum(input_tokens),
           sum(cached_input_tokens), sum(cache_write_input_tokens), sum(output_tokens), sum(reasoning_output_tokens),
           sum(cost_nano_usd), sum(charge_nanos), sum(duration_ms), sum(first_tokens), sum(first_token_ms),
           sum(speaking_ms), user_id, key_id
    FROM usage_line WHERE create_time >= first_hour AND create_time < first_hour + interval '1 day'
    GROUP BY tenant_id, operation, provider, model, user_id, key_id;
    INSERT INTO usage_pace
    SELECT tenant_id, first_hour, operation, provider, model, measure, step, sum(calls)
    FROM usage_timing WHERE create_time >= first_hour AND create_time < first_hour + interval '1 day'
    GROUP BY 1, 3, 4, 5, 6, 7;
END $$;

-- Throws away what was summed from a day on, so that it is made again.
CREATE FUNCTION rollup_again(at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    r rollup;
    first_hour timestamptz;
BEGIN
    SELECT * INTO r FROM rollup FOR UPDATE;
    first_hour := greatest(r.floor, date_trunc('day', at, 'UTC'));
    DELETE FROM usage_hour WHERE start_time >= first_hour;
    DELETE FROM usage_day WHERE start_time >= first_hour;
    DELETE FROM usage_pace WHERE start_time >= first_hour;
    UPDATE rollup SET until = least(until, first_hour);
END $$;

-- Drops the months that are wholly older. Those that the next time will drop are left out of reads from now on.
CREATE FUNCTION rollup_retain(keep interval) RETURNS void LANGUAGE plpgsql
SET timezone = 'UTC' SET lock_timeout = '200ms' AS $$
DECLARE
    oldest timestamptz := date_trunc('month', clock_timestamp() - keep);
    floor_ timestamptz := (SELECT floor FROM rollup);
    part record;
BEGIN
    PERFORM rollup_month(clock_timestamp()), rollup_month(clock_timestamp() + interval '1 month');
    FOR part IN
        SELECT inhrelid::regclass AS name, inhparent::regclass AS whole,
               to_timestamp(right(inhrelid::regclass::text, 7), 'YYYY_MM') AS first_day
        FROM pg_inherits
        WHERE inhparent IN ('usage_hour'::regclass, 'usage_day'::regclass, 'usage_pace'::regclass,
                            'custom_event'::regclass)
    LOOP
        IF part.first_day < (CASE part.whole WHEN 'custom_event'::regclass THEN oldest
                             ELSE date_trunc('month', floor_) END) THEN
            EXECUTE format('DROP TABLE %s', part.name);
        END IF;
    END LOOP;
    DELETE FROM usage_mended WHERE start_time < floor_;
    UPDATE rollup SET floor = oldest WHERE floor < oldest AND until >= oldest;
END $$;

-- Adds what is posted of a repricing to the hour of its call.
CREATE FUNCTION usage_mend() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO usage_mended AS m
    SELECT u.tenant_id, date_trunc('hour', u.create_time, 'UTC'), operation, provider, model, user_id, key_id,
           sum(f.cost_nano_usd), sum(f.charge_nanos)
    FROM fresh AS f JOIN usage AS u USING (completion_id, tenant_id)
    GROUP BY 1, 2, 3, 4, 5, 6, 7
    ORDER BY 1, 2, 3, 4, 5, 6, 7
    ON CONFLICT (tenant_id, start_time, operation, provider, model, user_id, key_id)
    DO UPDATE SET cost_nano_usd = m.cost_nano_usd + excluded.cost_nano_usd,
                  charge_nanos = m.charge_nanos + excluded.charge_nanos;
    RETURN NULL;
END $$;

CREATE TRIGGER usage_mend AFTER INSERT ON repricing REFERENCING NEW TABLE AS fresh
FOR EACH STATEMENT EXECUTE FUNCTION usage_mend();

INSERT INTO usage_mended
SELECT u.tenant_id, date_trunc('hour', u.create_time, 'UTC'), operation, provider, model, user_id, key_id,
       sum(f.cost_nano_usd), sum(f.charge_nanos)
FROM repricing AS f JOIN usage AS u USING (completion_id, tenant_id)
GROUP BY 1, 2, 3, 4, 5, 6, 7;

-- Notes an event now.
CREATE FUNCTION custom_event_record(for_tenant uuid, of_user text, called text, amount double precision, beside jsonb)
RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
    at timestamptz := clock_timestamp();
BEGIN
    PERFORM rollup_month(at);
    INSERT INTO custom_event (tenant_id, user_id, name, value, labels, create_time)
    VALUES (for_tenant, of_user, called, amount, beside, at);
    RETURN at;
END $$;
