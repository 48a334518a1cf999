-- Jobs: work with nobody waiting. A worker holds a lease, whose token grows with every claim; what it writes counts only
-- while its token is the job's. Each change of a job, the money that goes with it, and the event that tells of it are
-- written by one statement.
--
--   queued <-> delayed
--     |  ^        ^
--     v  |        |
--   running ------+----> succeeded | failed | cancelled

CREATE TABLE batch (
    id              uuid PRIMARY KEY,
    tenant_id       uuid NOT NULL,
    user_id         text NOT NULL,
    name            text NOT NULL,
    mode            text NOT NULL,
    stop_on_error   boolean NOT NULL,
    concurrency_max integer NOT NULL DEFAULT 0 CHECK (concurrency_max >= 0),  -- 0: as many as there are workers
    item_count      integer NOT NULL CHECK (item_count > 0),
    cancelled       boolean NOT NULL DEFAULT false,
    stopped         boolean NOT NULL DEFAULT false,  -- an item failed, and the others were not to go on
    told_count      bigint NOT NULL DEFAULT -1,      -- how many had ended when an event last told of it
    request_id      text,
    fingerprint     bytea NOT NULL,
    labels          json NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE UNIQUE INDEX batch_by_request ON batch (tenant_id, request_id) WHERE request_id IS NOT NULL;
CREATE INDEX batch_by_tenant ON batch (tenant_id, id);
CREATE INDEX batch_open ON batch (id) WHERE told_count < item_count;

CREATE TABLE job (
    id               uuid PRIMARY KEY,
    tenant_id        uuid NOT NULL,
    user_id          text NOT NULL,
    account          text NOT NULL,    -- the account that its maker named, as they spelled it
    key_id           text NOT NULL,
    allowed_models   text[] NOT NULL,
    queue            text NOT NULL,
    kind             text NOT NULL,
    provider         text NOT NULL,    -- where it goes first
    model            text NOT NULL,
    lane             text NOT NULL,    -- jobs of a tenant that take turns with those of its other lanes: its batch, or none
    priority         integer NOT NULL,
    spec             bytea NOT NULL,
    stream           boolean NOT NULL,
    state            text NOT NULL CHECK (state IN ('queued', 'delayed', 'running', 'succeeded', 'failed', 'cancelled')),
    delay_reason     text NOT NULL DEFAULT '' CHECK (delay_reason IN ('', 'scheduled', 'rate_limited', 'retry')),
    run_at           timestamptz NOT NULL,
    attempt          integer NOT NULL DEFAULT 0,
    max_attempts     integer NOT NULL,
    rescues          integer NOT NULL DEFAULT 0,
    timeout_s        integer NOT NULL,
    lease_token      bigint NOT NULL DEFAULT 0,
    leased_until     timestamptz,
    cancel_requested boolean NOT NULL DEFAULT false,
    hold_id          uuid NOT NULL,
    hold_account     uuid NOT NULL,
    progress         double precision NOT NULL DEFAULT 0,
    progress_message text NOT NULL DEFAULT '',
    progress_at      timestamptz,
    result           bytea,
    error            bytea,
    error_reason     text NOT NULL DEFAULT '',
    usage            bytea,
    cost_nano_usd    bigint NOT NULL DEFAULT 0,
    charge_nanos     bigint NOT NULL DEFAULT 0,
    fallback_model   text NOT NULL DEFAULT '',
    batch_id         uuid,
    item_index       integer,
    retry_of         uuid,
    request_id       text,
    fingerprint      bytea NOT NULL,
    labels           json NOT NULL,
    revision         bigint NOT NULL DEFAULT 1,
    created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at       timestamptz,
    ended_at         timestamptz,
    expires_at       timestamptz NOT NULL,
    CONSTRAINT job_leased CHECK ((state = 'running') = (leased_until IS NOT NULL)),
    CONSTRAINT job_ended CHECK ((state IN ('succeeded', 'failed', 'cancelled')) = (ended_at IS NOT NULL))
) WITH (fillfactor = 70);

CREATE INDEX job_ready ON job (queue, tenant_id, lane, priority DESC, run_at, id) WHERE state = 'queued';
CREATE INDEX job_due ON job (run_at) WHERE state = 'delayed';
CREATE INDEX job_running ON job (leased_until) WHERE state = 'running';
CREATE INDEX job_expiring ON job (expires_at) WHERE state IN ('queued', 'delayed');
CREATE INDEX job_ended ON job (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX job_by_tenant ON job (tenant_id, id);
CREATE INDEX job_of_batch ON job (batch_id, state) WHERE batch_id IS NOT NULL;
CREATE UNIQUE INDEX job_item ON job (batch_id, item_index) WHERE batch_id IS NOT NULL;
CREATE UNIQUE INDEX job_by_request ON job (tenant_id, request_id) WHERE request_id IS NOT NULL;

-- The events of an answer as it comes, for jobs that keep them.
CREATE TABLE job_chat_event (
    place   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id  uuid NOT NULL REFERENCES job ON DELETE CASCADE,
    attempt integer NOT NULL,
    event   bytea NOT NULL
);
CREATE INDEX job_chat_event_by_job ON job_chat_event (job_id, place);

-- Every change of state is an event, whoever makes it. -----------------------------------------------------------------

CREATE FUNCTION job_event(
    id uuid, state text, delay_reason text, revision bigint, attempt integer, queue text, user_id text, batch_id uuid,
    error_reason text
) RETURNS json LANGUAGE sql IMMUTABLE AS $$
    SELECT json_build_object(
        'jobId', 'job_' || replace(id::text, '-', ''),
        'state', 'JOB_STATE_' || upper(state),
        'delayReason', 'DELAY_REASON_' || CASE delay_reason WHEN '' THEN 'UNSPECIFIED' ELSE upper(delay_reason) END,
        'revision', revision::text,
        'attemptCount', attempt,
        'queue', queue,
        'userId', user_id,
        'batchId', coalesce('batch_' || replace(batch_id::text, '-', ''), ''),
        'errorReason', error_reason)
$$;

CREATE FUNCTION job_told() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = on SET enable_hashjoin = on AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO event (tenant_id, type, body)
        SELECT tenant_id, 'JobStateChanged', job_event(
            id, state, delay_reason, revision, attempt, queue, user_id, batch_id, error_reason)
        FROM made;
    ELSE
        INSERT INTO event (tenant_id, type, body)
        SELECT a.tenant_id, 'JobStateChanged', job_event(
            a.id, a.state, a.delay_reason, a.revision, a.attempt, a.queue, a.user_id, a.batch_id, a.error_reason)
        FROM made AS a JOIN before USING (id)
        WHERE (before.state, before.lease_token) IS DISTINCT FROM (a.state, a.lease_token);
        UPDATE batch SET stopped = true
        WHERE stop_on_error AND NOT stopped
          AND id IN (SELECT batch_id FROM made WHERE state = 'failed' AND batch_id IS NOT NULL);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER job_made AFTER INSERT ON job
    REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION job_told();
CREATE TRIGGER job_changed AFTER UPDATE ON job
    REFERENCING OLD TABLE AS before NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION job_told();

-- Frees what jobs hold that end without having used it.
CREATE FUNCTION job_free(ended job[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF cardinality(ended) > 0 THEN
        PERFORM ledger_apply((
            SELECT json_agg(json_build_object(
                'target', 'released', 'hold_id', hold_id, 'account_id', hold_account, 'amount', 0, 'ttl_s', 0))
            FROM unnest(ended)));
    END IF;
END $$;

-- Making ------------------------------------------------------------------------------------------------------------

CREATE TYPE job_order AS (
    id             uuid,
    tenant_id      uuid,
    user_id        text,
    account        text,
    key_id         text,
    allowed_models text[],
    queue          text,
    kind           text,
    provider       text,
    model          text,
    lane           text,
    priority       integer,
    spec           text,              -- base64
    stream         boolean,
    wait_s         double precision,  -- until it may be begun
    life_s         double precision,  -- until it fails if it has not ended
    max_attempts   integer,
    timeout_s      integer,
    hold_account   uuid,
    hold_nanos     bigint,
    price_version  text,
    batch_id       uuid,
    item_index     integer,
    retry_of       uuid,
    request_id     text,
    fingerprint    text,              -- base64
    labels         json
);

-- Makes jobs, each with a hold of its own name; one that cannot be paid for is not made. The job that a request id has
-- made already is the answer to a repeated call.
CREATE FUNCTION job_enqueue(orders json)
RETURNS TABLE (place integer, verdict text, made_id uuid, available bigint) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    came job_order[] := ARRAY(SELECT o FROM json_populate_recordset(NULL::job_order, orders) AS o);
    outcomes ledger_outcome[];
    repeated boolean[];
BEGIN
    repeated := ARRAY(
        SELECT EXISTS (SELECT 1 FROM job WHERE job.tenant_id = o.tenant_id AND job.request_id = o.request_id)
        FROM unnest(came) WITH ORDINALITY AS o ORDER BY o.ordinality);
    outcomes := ARRAY(
        SELECT applied FROM ledger_apply((
            SELECT json_agg(json_build_object(
                'target', 'held', 'hold_id', o.id, 'account_id', o.hold_account,
                'amount', o.hold_nanos, 'ttl_s', ceil(o.life_s)::integer + 3600,
                'provider', o.provider, 'model', o.model, 'price_version', o.price_version) ORDER BY o.ordinality)
            FROM unnest(came) WITH ORDINALITY AS o WHERE NOT repeated[o.ordinality])) AS applied
        WHERE NOT (true = ALL (repeated)));
    INSERT INTO job (
        id, tenant_id, user_id, account, key_id, allowed_models, queue, kind, provider, model, lane, priority, spec, stream,
        state, delay_reason, run_at, max_attempts, timeout_s, hold_id, hold_account, batch_id, item_index, retry_of,
        request_id, fingerprint, labels, expires_at)
    SELECT
        o.id, o.tenant_id, o.user_id, o.account, o.key_id, o.allowed_models, o.queue, o.kind, o.provider, o.model, o.lane,
        o.priority, decode(o.spec, 'base64'), o.stream,
        CASE WHEN o.wait_s > 0 THEN 'delayed' ELSE 'queued' END,
        CASE WHEN o.wait_s > 0 THEN 'scheduled' ELSE '' END,
        clock_timestamp() + make_interval(secs => o.wait_s), o.max_attempts, o.timeout_s, o.id, o.hold_account,
        o.batch_id, o.item_index, o.retry_of, o.request_id, decode(o.fingerprint, 'base64'), o.labels,
        clock_timestamp() + make_interval(secs => o.life_s)
    FROM unnest(came) AS o JOIN unnest(outcomes) AS paid ON paid.hold_id = o.id AND paid.verdict = 'held'
    ORDER BY o.item_index, o.id;
    RETURN QUERY
        SELECT o.ordinality::integer - 1, paid.verdict, o.id, paid.available
        FROM (SELECT u.*, row_number() OVER (ORDER BY u.ordinality) AS nth
              FROM unnest(came) WITH ORDINALITY AS u WHERE NOT repeated[u.ordinality]) AS o
        JOIN unnest(outcomes) AS paid ON paid."position" = o.nth - 1
        UNION ALL
        SELECT o.ordinality::integer - 1,
               CASE WHEN job.fingerprint = decode(o.fingerprint, 'base64') THEN 'repeated' ELSE 'reused' END, job.id, 0
        FROM unnest(came) WITH ORDINALITY AS o
        JOIN job ON job.tenant_id = o.tenant_id AND job.request_id = o.request_id
        WHERE repeated[o.ordinality];
END $$;

-- Claiming ----------------------------------------------------------------------------------------------------------

-- What a tenant may begin now: as many as it has room for, its lanes in turn, by priority within each.
CREATE FUNCTION job_ready_of(from_queue text, of_tenant uuid, share integer) RETURNS SETOF uuid LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    RETURN QUERY
    WITH RECURSIVE turn AS (
        (SELECT lane FROM job WHERE queue = from_queue AND state = 'queued' AND tenant_id = of_tenant
         ORDER BY lane LIMIT 1)
        UNION ALL
        SELECT (SELECT job.lane FROM job
                WHERE queue = from_queue AND state = 'queued' AND tenant_id = of_tenant AND job.lane > turn.lane
                ORDER BY job.lane LIMIT 1)
        FROM turn WHERE turn.lane IS NOT NULL
    ), lanes AS (
        SELECT lane, row_number() OVER (ORDER BY random()) AS nth, count(*) OVER () AS lane_count
        FROM (SELECT lane FROM turn WHERE lane IS NOT NULL LIMIT 64) AS few
    ), ready AS (
        SELECT found.* FROM lanes CROSS JOIN LATERAL (
            SELECT job.id, job.priority, job.run_at FROM job
            WHERE queue = from_queue AND state = 'queued' AND tenant_id = of_tenant AND job.lane = lanes.lane
            ORDER BY job.priority DESC, job.run_at, job.id
            LIMIT least(ceil(share::numeric / lanes.lane_count)::integer, job_room(lanes.lane))
            FOR UPDATE SKIP LOCKED) AS found
        WHERE lanes.nth <= share
    )
    SELECT ready.id FROM ready ORDER BY ready.priority DESC, ready.run_at, ready.id LIMIT share;
END $$;

-- How many more of a batch may run. Its row is locked, so that two workers do not both take the last place.
CREATE FUNCTION job_room(of_lane text) RETURNS integer LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
    most integer;
BEGIN
    IF of_lane = '' THEN
        RETURN 2147483647;
    END IF;
    SELECT CASE WHEN stopped OR cancelled THEN -1 ELSE concurrency_max END INTO most
    FROM batch WHERE id = of_lane::uuid;
    IF most < 0 THEN
        RETURN 0;
    ELSIF most = 0 THEN
        RETURN 2147483647;
    END IF;
    SELECT concurrency_max INTO most FROM batch WHERE id = of_lane::uuid FOR UPDATE SKIP LOCKED;
    RETURN CASE WHEN FOUND
        THEN greatest(0, most - (SELECT count(*) FROM job WHERE batch_id = of_lane::uuid AND state = 'running'))
        ELSE 0 END;
END $$;

-- Hands up to `most` jobs to a worker, tenants in turn, beginning behind the one that was served last.
CREATE FUNCTION job_claim(
    from_queue text, behind uuid, most integer, lease_s double precision,
    tenant_max integer, user_max integer, model_max integer
) RETURNS SETOF job LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    tenants uuid[];
    picked uuid[] := '{}';
    tenant uuid;
    share integer;
BEGIN
    IF greatest(tenant_max, user_max, model_max) > 0 THEN
        PERFORM pg_advisory_xact_lock(7310577);  -- who counts what runs must not be counted around
    END IF;
    WITH RECURSIVE turn AS (
        (SELECT tenant_id, 1 AS nth FROM job WHERE queue = from_queue AND state = 'queued' AND tenant_id > behind
         ORDER BY tenant_id LIMIT 1)
        UNION ALL
        SELECT (SELECT job.tenant_id FROM job
                WHERE queue = from_queue AND state = 'queued' AND job.tenant_id > turn.tenant_id
                ORDER BY job.tenant_id LIMIT 1), nth + 1
        FROM turn WHERE turn.tenant_id IS NOT NULL AND nth < most
    ), again AS (
        (SELECT tenant_id, 1 AS nth FROM job WHERE queue = from_queue AND state = 'queued' AND tenant_id <= behind
         ORDER BY tenant_id LIMIT 1)
        UNION ALL
        SELECT (SELECT job.tenant_id FROM job
                WHERE queue = from_queue AND state = 'queued'
                  AND job.tenant_id > again.tenant_id AND job.tenant_id <= behind
                ORDER BY job.tenant_id LIMIT 1), nth + 1
        FROM again WHERE again.tenant_id IS NOT NULL AND nth < most
    )
    SELECT array_agg(tenant_id) INTO tenants FROM (
        SELECT tenant_id FROM (
            SELECT tenant_id, 1 AS round, nth FROM turn UNION ALL SELECT tenant_id, 2, nth FROM again) AS found
        WHERE tenant_id IS NOT NULL ORDER BY round, nth LIMIT most) AS first;
    share := ceil(most::numeric / greatest(cardinality(tenants), 1));
    FOREACH tenant IN ARRAY coalesce(tenants, '{}') LOOP
        picked := picked || ARRAY(SELECT job_ready_of(from_queue, tenant, least(
            share, most - cardinality(picked),
            CASE WHEN tenant_max = 0 THEN share ELSE
                greatest(0, tenant_max - (SELECT count(*)::integer FROM job
                                          WHERE state = 'running' AND tenant_id = tenant)) END)));
        EXIT WHEN cardinality(picked) >= most;
    END LOOP;
    IF greatest(user_max, model_max) > 0 THEN
        picked := job_hold_back(picked, user_max, model_max);
    END IF;
    RETURN QUERY
    UPDATE job SET
        state = 'running', delay_reason = '', attempt = attempt + 1, lease_token = lease_token + 1,
        leased_until = clock_timestamp() + make_interval(secs => lease_s),
        started_at = coalesce(started_at, clock_timestamp()), revision = revision + 1
    WHERE id = ANY (picked)
    RETURNING *;
END $$;

-- Of what was picked, those whose user and model have room; the others wait a second, so that what is behind them is seen.
CREATE FUNCTION job_hold_back(picked uuid[], user_max integer, model_max integer) RETURNS uuid[] LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    full_ uuid[];
BEGIN
    full_ := ARRAY(
        SELECT id FROM (
            SELECT id,
                row_number() OVER (PARTITION BY tenant_id, user_id ORDER BY nth) + (
                    SELECT count(*) FROM job AS other WHERE other.state = 'running'
                    AND other.tenant_id = mine.tenant_id AND other.user_id = mine.user_id) AS of_user,
                row_number() OVER (PARTITION BY provider, model ORDER BY nth) + (
                    SELECT count(*) FROM job AS other WHERE other.state = 'running'
                    AND other.provider = mine.provider AND other.model = mine.model) AS of_model
            FROM unnest(picked) WITH ORDINALITY AS one (picked_id, nth) JOIN job AS mine ON mine.id = picked_id
        ) AS counted
        WHERE (user_max > 0 AND of_user > user_max) OR (model_max > 0 AND of_model > model_max));
    UPDATE job SET state = 'delayed', delay_reason = 'rate_limited', run_at = clock_timestamp() + interval '1 s',
                   revision = revision + 1
    WHERE id = ANY (full_);
    RETURN ARRAY(SELECT one FROM unnest(picked) AS one WHERE one <> ALL (full_));
END $$;

-- Changing ----------------------------------------------------------------------------------------------------------

CREATE TYPE job_change AS (
    id             uuid,
    lease_token    bigint,
    target         text,              -- money | progress | succeeded | failed | cancelled | delayed
    ops            json,              -- of the ledger, in their order
    hold_id        uuid,              -- what it holds from now on, where that changes
    hold_account   uuid,
    fraction       double precision,
    message        text,
    result         text,              -- base64, as the next two
    error          text,
    usage          text,
    error_reason   text,
    cost_nano_usd  bigint,            -- of this attempt
    charge_nanos   bigint,
    fallback_model text,
    delay_reason   text,
    delay_s        double precision,
    burns          boolean            -- the attempt counts
);

-- What a worker says about its jobs. Where its lease is lost, nothing of it happens: neither to the job nor to the money.
CREATE FUNCTION job_apply(changes json)
RETURNS TABLE (place integer, fenced boolean, verdict text, available bigint, cancel_requested boolean) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    came job_change[] := ARRAY(SELECT c FROM json_populate_recordset(NULL::job_change, changes) AS c);
    mine boolean[];
    ops json;
    outcomes ledger_outcome[];
BEGIN
    PERFORM 1 FROM job WHERE id IN (SELECT c.id FROM unnest(came) AS c) ORDER BY id FOR UPDATE;
    mine := ARRAY(
        SELECT EXISTS (SELECT 1 FROM job
                       WHERE job.id = c.id AND job.lease_token = c.lease_token AND job.state = 'running')
        FROM unnest(came) WITH ORDINALITY AS c ORDER BY c.ordinality);
    SELECT json_agg(op ORDER BY turn, came_nth, op_nth) INTO ops
    FROM (
        SELECT 1 AS turn, c.ordinality AS came_nth, one.op_nth, one.op
        FROM unnest(came) WITH ORDINALITY AS c
        CROSS JOIN LATERAL json_array_elements(c.ops) WITH ORDINALITY AS one (op, op_nth)
        WHERE mine[c.ordinality]
        UNION ALL  -- a job that ends keeps nothing
        SELECT 2, c.ordinality, 1, json_build_object(
            'target', 'released', 'hold_id', job.hold_id, 'account_id', job.hold_account, 'amount', 0, 'ttl_s', 0)
        FROM unnest(came) WITH ORDINALITY AS c JOIN job ON job.id = c.id
        WHERE mine[c.ordinality] AND c.target IN ('succeeded', 'failed', 'cancelled')
          AND NOT EXISTS (SELECT 1 FROM json_array_elements(c.ops) AS one WHERE (one ->> 'hold_id')::uuid = job.hold_id)
    ) AS all_ops;
    IF ops IS NOT NULL THEN
        outcomes := ARRAY(SELECT applied FROM ledger_apply(ops) AS applied ORDER BY applied."position");
    END IF;
    UPDATE job SET
        state = CASE WHEN c.target IN ('money', 'progress') THEN job.state ELSE c.target END,
        leased_until = CASE WHEN c.target IN ('money', 'progress') THEN job.leased_until END,
        hold_id = coalesce(c.hold_id, job.hold_id),
        hold_account = coalesce(c.hold_account, job.hold_account),
        progress = CASE c.target WHEN 'succeeded' THEN 1 ELSE greatest(job.progress, least(coalesce(c.fraction, 0), 1)) END,
        progress_message = coalesce(c.message, job.progress_message),
        progress_at = CASE WHEN c.fraction IS NULL THEN job.progress_at ELSE clock_timestamp() END,
        result = decode(c.result, 'base64'),
        error = decode(c.error, 'base64'),
        error_reason = coalesce(c.error_reason, ''),
        usage = coalesce(decode(c.usage, 'base64'), job.usage),
        cost_nano_usd = job.cost_nano_usd + coalesce(c.cost_nano_usd, 0),
        charge_nanos = job.charge_nanos + coalesce(c.charge_nanos, 0),
        fallback_model = coalesce(c.fallback_model, job.fallback_model),
        delay_reason = coalesce(c.delay_reason, ''),
        run_at = CASE c.target WHEN 'delayed' THEN clock_timestamp() + make_interval(secs => c.delay_s)
                 ELSE job.run_at END,
        attempt = job.attempt - CASE WHEN c.target = 'delayed' AND NOT c.burns THEN 1 ELSE 0 END,
        revision = job.revision + 1,
        ended_at = CASE WHEN c.target IN ('succeeded', 'failed', 'cancelled') THEN clock_timestamp() END
    FROM unnest(came) WITH ORDINALITY AS c
    WHERE job.id = c.id AND mine[c.ordinality];
    RETURN QUERY
        SELECT c.ordinality::integer - 1, mine[c.ordinality], last.verdict, last.available, job.cancel_requested
        FROM (SELECT u.*,
                     sum(CASE WHEN mine[u.ordinality] THEN coalesce(json_array_length(u.ops), 0) ELSE 0 END)
                         OVER (ORDER BY u.ordinality) AS behind
              FROM unnest(came) WITH ORDINALITY AS u) AS c
        LEFT JOIN unnest(outcomes) AS last
            ON last."position" = c.behind - 1 AND mine[c.ordinality] AND json_array_length(c.ops) > 0
        LEFT JOIN job ON job.id = c.id;
END $$;

-- Says that a worker is alive: those of its jobs that are still its own, and whether somebody wants them to end.
CREATE FUNCTION job_renew(ids uuid[], tokens bigint[], lease_s double precision)
RETURNS TABLE (renewed_id uuid, wanted_gone boolean) LANGUAGE sql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
    UPDATE job SET leased_until = clock_timestamp() + make_interval(secs => lease_s)
    FROM unnest(ids, tokens) AS mine (id, token)
    WHERE job.id = mine.id AND job.lease_token = mine.token AND job.state = 'running'
    RETURNING job.id, job.cancel_requested
$$;

-- Wants a job to end: one that waits ends at once. Says how it stood before; null where there is none.
CREATE FUNCTION job_cancel(of_tenant uuid, job_id uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    was text;
BEGIN
    SELECT state INTO was FROM job WHERE id = job_id AND tenant_id = of_tenant FOR UPDATE;
    IF was IN ('queued', 'delayed') THEN
        PERFORM job_end_waiting(ARRAY[job_id], 'cancelled', 'CANCELLED');
    ELSIF was = 'running' THEN
        UPDATE job SET cancel_requested = true, revision = revision + 1 WHERE id = job_id AND NOT cancel_requested;
    END IF;
    RETURN was;
END $$;

-- Ends jobs that nobody works at, which are locked, and frees what they hold.
CREATE FUNCTION job_end_waiting(ids uuid[], as_state text, why text) RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    ended job[];
BEGIN
    WITH gone AS (
        UPDATE job SET state = as_state, error_reason = why, delay_reason = '', leased_until = NULL,
                       rescues = rescues + CASE state WHEN 'running' THEN 1 ELSE 0 END,
                       ended_at = clock_timestamp(), revision = revision + 1
        WHERE id = ANY (ids)
        RETURNING job
    )
    SELECT array_agg(gone.job) INTO ended FROM gone;
    PERFORM job_free(ended);
END $$;

-- What time itself does to jobs: some come due, some have lost their worker, some are too old. Says in which queues there
-- is more to do now, and when the next one comes due.
CREATE FUNCTION job_sweep(rescues_max integer, most integer, OUT queues text[], OUT next_s double precision, OUT rescued integer)
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    late job[];
BEGIN
    late := ARRAY(
        SELECT job FROM job WHERE state IN ('queued', 'delayed') AND expires_at <= clock_timestamp()
        ORDER BY expires_at LIMIT most FOR UPDATE SKIP LOCKED);
    PERFORM job_end_waiting(ARRAY(SELECT id FROM unnest(late)), 'failed', 'JOB_EXPIRED') WHERE cardinality(late) > 0;
    late := ARRAY(
        SELECT job FROM batch JOIN job ON job.batch_id = batch.id
        WHERE batch.told_count < batch.item_count AND (batch.stopped OR batch.cancelled)
          AND job.state IN ('queued', 'delayed')
        LIMIT most FOR UPDATE OF job SKIP LOCKED);
    PERFORM job_end_waiting(ARRAY(SELECT id FROM unnest(late)), 'cancelled', 'CANCELLED') WHERE cardinality(late) > 0;
    late := ARRAY(
        SELECT job FROM job WHERE state = 'running' AND leased_until < clock_timestamp()
        ORDER BY leased_until LIMIT most FOR UPDATE SKIP LOCKED);
    rescued := cardinality(late);
    IF rescued > 0 THEN
        PERFORM job_end_waiting(ARRAY(SELECT id FROM unnest(late) WHERE cancel_requested), 'cancelled', 'CANCELLED');
        PERFORM job_end_waiting(
            ARRAY(SELECT id FROM unnest(late) WHERE NOT cancel_requested AND rescues + 1 >= rescues_max),
            'failed', 'JOB_POISONED');
    END IF;
    WITH due AS (
        SELECT id FROM job WHERE state = 'delayed' AND run_at <= clock_timestamp()
        ORDER BY run_at LIMIT most FOR UPDATE SKIP LOCKED
    ), woken AS (
        UPDATE job SET
            state = 'queued', delay_reason = '', leased_until = NULL, revision = revision + 1,
            rescues = rescues + CASE state WHEN 'running' THEN 1 ELSE 0 END,
            attempt = attempt - CASE state WHEN 'running' THEN 1 ELSE 0 END
        WHERE id IN (SELECT id FROM due UNION ALL SELECT id FROM unnest(late))
          AND state IN ('delayed', 'running')
          AND NOT (state = 'running' AND (cancel_requested OR rescues + 1 >= rescues_max))
        RETURNING queue
    )
    SELECT array_agg(DISTINCT queue) INTO queues FROM woken;
    PERFORM batch_tell();
    next_s := (SELECT extract(epoch FROM run_at - clock_timestamp()) FROM job WHERE state = 'delayed'
               ORDER BY run_at LIMIT 1);
END $$;

-- Batches -----------------------------------------------------------------------------------------------------------

-- How many items are in which state: counted, so that they always add up.
CREATE FUNCTION batch_counts(
    of_batch uuid, OUT queued bigint, OUT delayed bigint, OUT running bigint, OUT succeeded bigint, OUT failed bigint,
    OUT cancelled bigint
) LANGUAGE sql STABLE AS $$
    SELECT count(*) FILTER (WHERE state = 'queued'), count(*) FILTER (WHERE state = 'delayed'),
           count(*) FILTER (WHERE state = 'running'), count(*) FILTER (WHERE state = 'succeeded'),
           count(*) FILTER (WHERE state = 'failed'), count(*) FILTER (WHERE state = 'cancelled')
    FROM job WHERE batch_id = of_batch
$$;

-- Tells how far batches have come, where more of them has ended since it was last told.
CREATE FUNCTION batch_tell() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    WITH open_ AS (
        SELECT id, told_count FROM batch WHERE told_count < item_count ORDER BY id LIMIT 100 FOR UPDATE SKIP LOCKED
    ), counted AS (
        SELECT open_.id, told_count, counts.*, counts.succeeded + counts.failed + counts.cancelled AS over_count
        FROM open_ CROSS JOIN LATERAL batch_counts(open_.id) AS counts
    ), told AS (
        UPDATE batch SET told_count = over_count FROM counted
        WHERE batch.id = counted.id AND over_count > counted.told_count
        RETURNING batch.id, batch.tenant_id, batch.item_count
    )
    INSERT INTO event (tenant_id, type, body)
    SELECT tenant_id, 'BatchProgress', json_build_object(
        'batchId', 'batch_' || replace(id::text, '-', ''), 'totalCount', item_count::text,
        'runnableCount', queued::text, 'delayedCount', delayed::text, 'runningCount', running::text,
        'succeededCount', succeeded::text, 'failedCount', failed::text, 'cancelledCount', cancelled::text)
    FROM told JOIN counted USING (id);
END $$;
