-- What may be spent in an hour, day or month. Spend is what usage rows say: a trigger adds each row to the windows that
-- it falls into, in the transaction that charges for it. A hard budget also counts what running calls may still cost.

CREATE TABLE budget (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenant,
    name text NOT NULL CHECK (name <> ''),
    user_id text NOT NULL, -- of the selector: '' does not choose, '*' counts each value apart
    key_id text NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    team text NOT NULL,
    period text NOT NULL CHECK (period IN ('hour', 'day', 'month')),
    time_zone text NOT NULL,
    unit text NOT NULL CHECK (unit IN ('CREDIT', 'USD')),
    amount bigint NOT NULL CHECK (amount > 0), -- nanos
    hard boolean NOT NULL,
    thresholds integer[] NOT NULL, -- percent
    spike_percent integer NOT NULL CHECK (spike_percent >= 0), -- of the average; 0: not watched
    set_by text NOT NULL,
    set_time timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, name)
);

CREATE TABLE budget_window (
    budget_id bigint NOT NULL REFERENCES budget ON DELETE CASCADE,
    subject text[] NOT NULL, -- user, key, provider, model, team; '' where the budget does not choose by it
    start_time timestamptz NOT NULL,
    end_time timestamptz NOT NULL,
    spent bigint NOT NULL,
    PRIMARY KEY (budget_id, subject, start_time)
) WITH (fillfactor = 50);

CREATE TABLE budget_hold (
    completion_id uuid NOT NULL,
    budget_id bigint NOT NULL REFERENCES budget ON DELETE CASCADE,
    subject text[] NOT NULL,
    amount bigint NOT NULL,
    expire_time timestamptz NOT NULL,
    PRIMARY KEY (completion_id, budget_id, subject)
);

CREATE INDEX budget_hold_by_subject ON budget_hold (budget_id, subject);
CREATE INDEX budget_hold_due ON budget_hold (expire_time);

-- What was noted of a window, each thing once. Whoever tells others of it hangs a trigger here: a row is written in the
-- transaction that spends.
CREATE TABLE budget_alert (
    budget_id bigint NOT NULL REFERENCES budget ON DELETE CASCADE,
    subject text[] NOT NULL,
    start_time timestamptz NOT NULL,
    kind text NOT NULL CHECK (kind IN ('threshold', 'spike')),
    percent integer NOT NULL,
    spent bigint NOT NULL,
    note_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (budget_id, subject, start_time, kind, percent)
);

CREATE TRIGGER limits_announce AFTER INSERT OR UPDATE OR DELETE ON budget
FOR EACH STATEMENT EXECUTE FUNCTION limits_announce();

-- The counter that a call comes under; null where the budget does not choose it.
CREATE FUNCTION budget_subject(b budget, told text[]) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN bool_and(chosen = '' OR told_ <> '' AND chosen IN ('*', told_))
                THEN array_agg(CASE chosen WHEN '' THEN '' ELSE told_ END ORDER BY place) END
    FROM unnest(ARRAY[b.user_id, b.key_id, b.provider, b.model, b.team], told)
         WITH ORDINALITY AS each(chosen, told_, place)
$$;

CREATE FUNCTION budget_start(b budget, at timestamptz) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT date_trunc(b.period, at, b.time_zone)
$$;

-- An hour is an hour; a day or a month ends where the next begins by the clocks of the zone.
CREATE FUNCTION budget_end(b budget, start_time timestamptz) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT CASE b.period WHEN 'hour' THEN start_time + interval '1 hour'
        ELSE (start_time AT TIME ZONE b.time_zone + ('1 ' || b.period)::interval) AT TIME ZONE b.time_zone END
$$;

-- Adds to a window, and notes what that brought about.
CREATE FUNCTION budget_add(b budget, subject_ text[], at timestamptz, nanos bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    w budget_window;
    average numeric;
BEGIN
    INSERT INTO budget_window (budget_id, subject, start_time, end_time, spent)
    VALUES (b.id, subject_, budget_start(b, at), budget_end(b, budget_start(b, at)), nanos)
    ON CONFLICT (budget_id, subject, start_time) DO UPDATE SET spent = budget_window.spent + excluded.spent
    RETURNING * INTO w;
    INSERT INTO budget_alert (budget_id, subject, start_time, kind, percent, spent)
    SELECT b.id, subject_, w.start_time, 'threshold', percent_, w.spent
    FROM unnest(b.thresholds) AS percent_
    WHERE w.spent::numeric * 100 >= b.amount::numeric * percent_
    ON CONFLICT DO NOTHING;
    IF b.spike_percent > 0 THEN
        SELECT CASE WHEN count(*) >= 3 THEN avg(last.spent) END INTO average
        FROM (SELECT spent FROM budget_window
              WHERE budget_id = b.id AND subject = subject_ AND start_time < w.start_time
              ORDER BY start_time DESC LIMIT 7) AS last;
        IF w.spent::numeric * 100 > average * b.spike_percent THEN
            INSERT INTO budget_alert (budget_id, subject, start_time, kind, percent, spent)
            VALUES (b.id, subject_, w.start_time, 'spike', b.spike_percent, w.spent)
            ON CONFLICT DO NOTHING;
        END IF;
    END IF;
END $$;

-- Adds usage rows to the windows that they fall into, in the order of the budgets, so that nobody waits in a circle.
CREATE FUNCTION budgets_spend() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    line record;
BEGIN
    IF NOT EXISTS (SELECT FROM budget) THEN
        RETURN NULL;
    END IF;
    DELETE FROM budget_hold WHERE completion_id IN (SELECT completion_id FROM fresh);
    FOR line IN
        SELECT b, subject, min(u.create_time) AS at,
               sum(CASE b.unit WHEN 'USD' THEN u.cost_nano_usd ELSE u.charge_nanos END)::bigint AS nanos
        FROM fresh AS u
        JOIN budget AS b USING (tenant_id)
        CROSS JOIN LATERAL budget_subject(
            b, ARRAY[u.user_id, u.key_id, u.provider, u.model, coalesce(u.labels ->> 'team', '')]) AS subject
        WHERE subject IS NOT NULL
        GROUP BY b, subject, budget_start(b, u.create_time)
        ORDER BY b, subject, at  -- a budget begins with its id
    LOOP
        PERFORM budget_add(line.b, line.subject, line.at, line.nanos);
    END LOOP;
    RETURN NULL;
END $$;

CREATE TRIGGER budgets_spend AFTER INSERT ON usage REFERENCING NEW TABLE AS fresh
FOR EACH STATEMENT EXECUTE FUNCTION budgets_spend();

-- Holds what a call may cost against every hard budget that it comes under, or tells those that cannot cover it.
CREATE FUNCTION budget_reserve(
    for_tenant uuid, completion uuid, told text[], credit_nanos bigint, usd_nanos bigint, ttl_s integer
) RETURNS TABLE (refused_by text, of_unit text, of_amount bigint, needed bigint, remaining bigint, opens_s double precision)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    b budget;
    w budget_window;
    subject_ text[];
    held bigint;
    is_refused boolean := false;
BEGIN
    FOR b IN SELECT * FROM budget WHERE tenant_id = for_tenant AND hard ORDER BY id LOOP
        subject_ := budget_subject(b, told);
        CONTINUE WHEN subject_ IS NULL;
        INSERT INTO budget_window (budget_id, subject, start_time, end_time, spent)
        SELECT b.id, subject_, start, budget_end(b, start), 0 FROM budget_start(b, clock_timestamp()) AS start
        ON CONFLICT (budget_id, subject, start_time) DO UPDATE SET spent = budget_window.spent
        RETURNING * INTO w;
        SELECT coalesce(sum(amount), 0) INTO held FROM budget_hold
        WHERE budget_id = b.id AND subject = subject_ AND expire_time > clock_timestamp() AND completion_id <> completion;
        of_unit := b.unit;
        of_amount := b.amount;
        needed := CASE b.unit WHEN 'USD' THEN usd_nanos ELSE credit_nanos END;
        remaining := b.amount - w.spent - held;
        IF needed > remaining THEN
            is_refused := true;
            refused_by := b.name;
            opens_s := greatest(extract(epoch FROM w.end_time - clock_timestamp()), 0);
            RETURN NEXT;
        ELSE
            INSERT INTO budget_hold (completion_id, budget_id, subject, amount, expire_time)
            VALUES (completion, b.id, subject_, needed, clock_timestamp() + make_interval(secs => ttl_s))
            ON CONFLICT (completion_id, budget_id, subject)
            DO UPDATE SET amount = excluded.amount, expire_time = excluded.expire_time;
        END IF;
    END LOOP;
    IF is_refused THEN
        DELETE FROM budget_hold WHERE completion_id = completion;
    END IF;
END $$;

-- Makes a budget, or changes the one of that name. One that counts something else than before begins anew, with what
-- the usage rows of its current window say; until it is there no usage row is written.
CREATE FUNCTION budget_set(
    for_tenant uuid, name_ text, told text[], period_ text, zone text, unit_ text, amount_ bigint, is_hard boolean,
    percents integer[], spike integer, by_key text
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    b budget;
BEGIN
    LOCK TABLE usage IN SHARE ROW EXCLUSIVE MODE;
    UPDATE budget SET amount = amount_, hard = is_hard, thresholds = percents, spike_percent = spike, set_by = by_key,
                      set_time = now()
    WHERE tenant_id = for_tenant AND name = name_ AND (period, time_zone, unit) = (period_, zone, unit_)
      AND ARRAY[user_id, key_id, provider, model, team] = told;
    IF FOUND THEN
        RETURN;
    END IF;
    DELETE FROM budget WHERE tenant_id = for_tenant AND name = name_;
    INSERT INTO budget (tenant_id, name, user_id, key_id, provider, model, team, period, time_zone, unit, amount, hard,
                        thresholds, spike_percent, set_by)
    VALUES (for_tenant, name_, told[1], told[2], told[3], told[4], told[5], period_, zone, unit_, amount_, is_hard,
            percents, spike, by_key)
    RETURNING * INTO b;
    PERFORM budget_add(b, past.subject, now(), past.nanos)
    FROM (SELECT subject, sum(CASE b.unit WHEN 'USD' THEN cost_nano_usd ELSE charge_nanos END)::bigint AS nanos
          FROM usage AS u CROSS JOIN LATERAL budget_subject(
              b, ARRAY[u.user_id, u.key_id, u.provider, u.model, coalesce(u.labels ->> 'team', '')]) AS subject
          WHERE tenant_id = for_tenant AND create_time >= budget_start(b, now()) AND subject IS NOT NULL
          GROUP BY subject) AS past;
END $$;
