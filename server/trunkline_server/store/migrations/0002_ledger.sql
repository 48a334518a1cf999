-- The credits ledger: accounts, holds, transfers and the usage behind each charge.
-- Amounts are nano-credits. Every decision is taken here, under the row lock of the account and on the database's clock.

-- Accounts --------------------------------------------------------------------------------------------------------

CREATE TABLE account (
    id                uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id         uuid NOT NULL,
    owner_type        text NOT NULL CHECK (owner_type IN ('tenant', 'user')),
    owner_id          text NOT NULL,
    provider          text NOT NULL,
    model             text NOT NULL,
    unlimited         boolean NOT NULL DEFAULT false,
    suspended         boolean NOT NULL DEFAULT false,
    overdraft_limit   bigint NOT NULL DEFAULT 0 CHECK (overdraft_limit >= 0),
    low_balance_nanos bigint NOT NULL DEFAULT 0 CHECK (low_balance_nanos >= 0),
    posted_credit     bigint NOT NULL DEFAULT 0 CHECK (posted_credit >= 0),
    posted_debit      bigint NOT NULL DEFAULT 0 CHECK (posted_debit >= 0),
    held              bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
    -- How far forced debits (overage, late settlement, adjustment) have pushed the account past its limit.
    overrun           bigint NOT NULL DEFAULT 0 CHECK (overrun >= 0),
    version           bigint NOT NULL DEFAULT 1,
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT account_key UNIQUE (tenant_id, owner_type, owner_id, provider, model),
    CONSTRAINT account_within_limit
        CHECK (unlimited OR posted_credit - posted_debit - held + overrun >= -overdraft_limit)
) WITH (fillfactor = 50);  -- room beside each row, so that its many updates stay in the page and out of the indexes

CREATE INDEX account_by_age ON account (tenant_id, created_at, id);

-- Holds -----------------------------------------------------------------------------------------------------------
--   held -> settled | released | expired, once. A hold settled after it expired stays `expired` and has `charged`.

CREATE TABLE hold (
    id            uuid PRIMARY KEY,
    tenant_id     uuid NOT NULL,
    account_id    uuid NOT NULL,
    state         text NOT NULL DEFAULT 'held' CHECK (state IN ('held', 'settled', 'released', 'expired')),
    amount        bigint NOT NULL CHECK (amount >= 0),
    charged       bigint CHECK (charged >= 0),
    provider      text NOT NULL,
    model         text NOT NULL,
    price_version text NOT NULL,
    request_id    text,
    expires_at    timestamptz NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_at     timestamptz,
    CONSTRAINT hold_closed_once CHECK ((state = 'held') = (closed_at IS NULL))
);

CREATE UNIQUE INDEX hold_by_request ON hold (tenant_id, request_id) WHERE request_id IS NOT NULL;
CREATE INDEX hold_due ON hold (expires_at) WHERE state = 'held';

-- Transfers -------------------------------------------------------------------------------------------------------
-- One row is both legs: `amount` goes into `account_id` and out of `contra_id` (a debit is negative), so the sum over
-- all accounts is zero by construction. `contra_id` names a system account, which has no row of its own to contend for.

CREATE TABLE transfer (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id     uuid NOT NULL,
    account_id    uuid NOT NULL,
    contra_id     uuid NOT NULL,
    kind          text NOT NULL
                  CHECK (kind IN ('grant', 'settle', 'overage', 'late_settle', 'refund', 'adjust')),
    amount        bigint NOT NULL CHECK (amount <> 0),
    balance_after bigint NOT NULL,
    hold_id       uuid,
    request_id    text,
    reason        text NOT NULL DEFAULT '',
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX transfer_by_account ON transfer (account_id, id);
CREATE UNIQUE INDEX transfer_by_request ON transfer (tenant_id, request_id) WHERE request_id IS NOT NULL;
CREATE INDEX transfer_refunds ON transfer (hold_id) WHERE kind = 'refund';

CREATE FUNCTION transfer_is_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a transfer is never changed; post another one';
END $$;

CREATE TRIGGER transfer_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON transfer
    FOR EACH STATEMENT EXECUTE FUNCTION transfer_is_immutable();

CREATE FUNCTION ledger_contra(kind text) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE kind
        WHEN 'grant' THEN '00000000-0000-0000-0000-000000000001'::uuid   -- funding
        WHEN 'adjust' THEN '00000000-0000-0000-0000-000000000003'::uuid  -- adjustments
        ELSE '00000000-0000-0000-0000-000000000002'::uuid                -- revenue
    END
$$;

-- Usage -----------------------------------------------------------------------------------------------------------

CREATE TABLE usage (
    completion_id            uuid NOT NULL,
    tenant_id                uuid NOT NULL,
    user_id                  text NOT NULL,
    key_id                   text NOT NULL,
    operation                text NOT NULL,
    provider                 text NOT NULL,
    model                    text NOT NULL,
    requested_model          text NOT NULL,
    input_tokens             bigint NOT NULL,
    cached_input_tokens      bigint NOT NULL,
    cache_write_input_tokens bigint NOT NULL,
    output_tokens            bigint NOT NULL,
    reasoning_output_tokens  bigint NOT NULL,
    unit_counts              jsonb NOT NULL,
    usage_source             text NOT NULL,
    basis                    text NOT NULL,
    cost_nano_usd            bigint NOT NULL,
    charge_nanos             bigint NOT NULL,
    price_version            text NOT NULL,
    outcome                  text NOT NULL,
    finish_reason            text NOT NULL,
    error_reason             text NOT NULL,
    attempts                 smallint NOT NULL,
    first_token_ms           integer NOT NULL,
    duration_ms              integer NOT NULL,
    labels                   jsonb NOT NULL,
    request_id               text NOT NULL,
    create_time              timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX usage_by_time ON usage (tenant_id, create_time);
CREATE INDEX usage_by_completion ON usage (completion_id);

CREATE FUNCTION usage_record(spent json[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO usage (
        completion_id, tenant_id, user_id, key_id, operation, provider, model, requested_model,
        input_tokens, cached_input_tokens, cache_write_input_tokens, output_tokens, reasoning_output_tokens,
        unit_counts, usage_source, basis, cost_nano_usd, charge_nanos, price_version, outcome, finish_reason,
        error_reason, attempts, first_token_ms, duration_ms, labels, request_id)
    SELECT
        completion_id, tenant_id, user_id, key_id, operation, provider, model, requested_model,
        input_tokens, cached_input_tokens, cache_write_input_tokens, output_tokens, reasoning_output_tokens,
        unit_counts, usage_source, basis, cost_nano_usd, charge_nanos, price_version, outcome, finish_reason,
        error_reason, attempts, first_token_ms, duration_ms, labels, request_id
    FROM unnest(spent) AS row_, json_populate_record(NULL::usage, row_);
END $$;

-- Group commit ----------------------------------------------------------------------------------------------------
-- Many callers' operations are applied by one statement. An operation names the state that a hold should come to;
-- applied twice it changes nothing and returns the first outcome, so a lost answer is mended by asking again.

CREATE TYPE ledger_op AS (
    target        text,     -- held | extended | settled | released | expired
    hold_id       uuid,
    account_id    uuid,
    amount        bigint,   -- held: how much; extended: the new total; settled: the charge
    ttl_s         integer,
    provider      text,
    model         text,
    price_version text,
    request_id    text,
    usage         json
);

CREATE TYPE ledger_outcome AS (
    position  integer,      -- which operation of the batch, from 0
    verdict   text,         -- the state of the hold, or: insufficient | suspended | reused | unknown
    hold_id   uuid,
    amount    bigint,
    charged   bigint,
    balance   bigint,
    available bigint        -- what a further hold may take
);

-- How far a debt goes beyond what is allowed.
CREATE FUNCTION ledger_beyond(debt bigint, allowed bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT greatest(debt, allowed) - allowed
$$;

-- Writes down what the operations of a batch made of its accounts; the caller holds their row locks.
CREATE FUNCTION ledger_save(changed account[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE account o SET
        posted_credit = n.posted_credit,
        posted_debit = n.posted_debit,
        held = n.held,
        overrun = CASE WHEN n.unlimited THEN 0 ELSE
            least(n.overrun, ledger_beyond(n.posted_debit + n.held - n.posted_credit, n.overdraft_limit)) END,
        version = n.version + 1
    FROM unnest(changed) AS n
    WHERE o.id = n.id
      AND (o.posted_credit, o.posted_debit, o.held) IS DISTINCT FROM (n.posted_credit, n.posted_debit, n.held);
END $$;

-- Posts one transfer to a locked account. Forced kinds may go past the limit, the account remembers by how much.
CREATE FUNCTION ledger_post(
    INOUT a account, kind text, amount bigint, hold_id uuid, request_id text, reason text
) LANGUAGE plpgsql AS $$
BEGIN
    IF amount = 0 THEN
        RETURN;
    ELSIF amount > 0 THEN
        a.posted_credit := a.posted_credit + amount;
    ELSE
        a.posted_debit := a.posted_debit - amount;
    END IF;
    IF amount < 0 AND kind <> 'settle' AND NOT a.unlimited THEN
        a.overrun := a.overrun - amount;
    END IF;
    INSERT INTO transfer (tenant_id, account_id, contra_id, kind, amount, balance_after, hold_id, request_id, reason)
    VALUES (a.tenant_id, a.id, ledger_contra(kind), kind, amount, a.posted_credit - a.posted_debit,
            hold_id, request_id, reason);
END $$;

-- No limit is so high that what is available does not fit.
CREATE FUNCTION ledger_available(a account) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT least(a.posted_credit - a.posted_debit - a.held, 9223372036854775807 - a.overdraft_limit) + a.overdraft_limit
$$;

-- Takes a hold where the account allows it. The hold that stands there already is the answer to a repeated call.
CREATE FUNCTION ledger_hold(INOUT a account, op ledger_op, OUT h hold, OUT verdict text, OUT spent json) LANGUAGE plpgsql AS $$
BEGIN
    verdict := CASE
        WHEN a.id IS NULL THEN NULL
        WHEN a.suspended THEN 'suspended'
        WHEN a.unlimited OR ledger_available(a) >= op.amount THEN 'held'
        ELSE 'insufficient'
    END;
    IF verdict = 'held' THEN
        INSERT INTO hold (id, tenant_id, account_id, amount, provider, model, price_version, request_id, expires_at)
        VALUES (op.hold_id, a.tenant_id, a.id, op.amount, op.provider, op.model, op.price_version, op.request_id,
                clock_timestamp() + make_interval(secs => op.ttl_s))
        ON CONFLICT DO NOTHING RETURNING * INTO h;
        IF FOUND THEN
            a.held := a.held + op.amount;
            RETURN;
        END IF;
    END IF;
    SELECT * INTO h FROM hold
    WHERE id = op.hold_id OR (tenant_id = a.tenant_id AND request_id = op.request_id);
    IF FOUND THEN
        verdict := CASE
            WHEN (h.account_id, h.amount, h.provider, h.model) = (a.id, op.amount, op.provider, op.model)
            THEN h.state ELSE 'reused' END;
    END IF;
END $$;

-- Raises a hold to a total and keeps it alive for longer.
CREATE FUNCTION ledger_extend(INOUT a account, op ledger_op, OUT h hold, OUT verdict text, OUT spent json) LANGUAGE plpgsql AS $$
DECLARE
    more bigint;
BEGIN
    SELECT * INTO h FROM hold WHERE id = op.hold_id AND account_id = a.id;
    more := greatest(0, op.amount - h.amount);
    verdict := CASE
        WHEN h.state <> 'held' THEN h.state
        WHEN more > 0 AND a.suspended THEN 'suspended'
        WHEN more > 0 AND NOT a.unlimited AND ledger_available(a) < more THEN 'insufficient'
        ELSE h.state  -- null where there is no such hold
    END;
    IF verdict = 'held' THEN
        UPDATE hold SET amount = amount + more,
                        expires_at = greatest(expires_at, clock_timestamp() + make_interval(secs => op.ttl_s))
        WHERE id = h.id RETURNING * INTO h;
        a.held := a.held + more;
    END IF;
END $$;

-- Closes a hold: what was charged is posted, the rest is free again. Only the first close counts; a settlement that
-- comes after the hold expired is still posted, once, because the provider has really charged for it.
CREATE FUNCTION ledger_close(
    INOUT a account, op ledger_op, OUT h hold, OUT verdict text, OUT spent json
) LANGUAGE plpgsql AS $$
BEGIN
    UPDATE hold SET state = CASE state WHEN 'held' THEN op.target ELSE state END,
                    charged = CASE op.target WHEN 'settled' THEN op.amount END,
                    closed_at = clock_timestamp()
    WHERE id = op.hold_id AND account_id = a.id
      AND (state = 'held' AND (op.target <> 'expired' OR expires_at <= clock_timestamp())
           OR state = 'expired' AND op.target = 'settled' AND charged IS NULL)
    RETURNING * INTO h;
    IF NOT FOUND THEN
        SELECT * INTO h FROM hold WHERE id = op.hold_id AND account_id = a.id;
        verdict := h.state;
        RETURN;
    END IF;
    verdict := h.state;
    IF h.state = op.target THEN
        a.held := a.held - h.amount;
    END IF;
    IF h.state = 'settled' THEN
        a := ledger_post(a, 'settle', -least(op.amount, h.amount), h.id, NULL, '');
        a := ledger_post(a, 'overage', -greatest(0, op.amount - h.amount), h.id, NULL, '');
    ELSIF op.target = 'settled' THEN
        a := ledger_post(a, 'late_settle', -op.amount, h.id, NULL, '');
    END IF;
    spent := op.usage;
END $$;

-- Applies a batch: locks its accounts in the order of their ids, works through the operations of each in the order
-- they came, and writes each account once. The plans may not depend on statistics from when the tables were empty.
CREATE FUNCTION ledger_apply(ops json) RETURNS SETOF ledger_outcome LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    account_ids uuid[] := ARRAY(SELECT account_id FROM json_populate_recordset(NULL::ledger_op, ops));
    a account;
    item record;
    step record;
    changed account[];
    spent json[];
BEGIN
    PERFORM 1 FROM account WHERE id = ANY (account_ids) ORDER BY id FOR UPDATE;
    FOR item IN
        SELECT op, position, current
        FROM (SELECT op, (row_number() OVER ())::integer - 1 AS position
              FROM json_populate_recordset(NULL::ledger_op, ops) AS op) AS came
        LEFT JOIN account AS current ON current.id = (op).account_id
        ORDER BY (op).account_id, position
    LOOP
        IF a.id IS DISTINCT FROM (item.op).account_id THEN
            changed := array_append(changed, a);
            a := item.current;
        END IF;
        step := CASE (item.op).target
            WHEN 'held' THEN ledger_hold(a, item.op)
            WHEN 'extended' THEN ledger_extend(a, item.op)
            ELSE ledger_close(a, item.op)
        END;
        a := step.a;
        IF step.spent IS NOT NULL THEN
            spent := array_append(spent, step.spent);
        END IF;
        RETURN NEXT (item.position, coalesce(step.verdict, 'unknown'), (step.h).id, (step.h).amount, (step.h).charged,
                     a.posted_credit - a.posted_debit, ledger_available(a))::ledger_outcome;
    END LOOP;
    PERFORM ledger_save(array_append(changed, a));
    PERFORM usage_record(spent);
END $$;

-- What an operator posts: grant, refund, adjust. The request id makes it happen once.
CREATE FUNCTION ledger_transfer(
    for_tenant uuid, for_account uuid, as_kind text, by_amount bigint, as_request text, why text, of_hold uuid,
    OUT verdict text, OUT posted transfer
) LANGUAGE plpgsql AS $$
DECLARE
    a account;
BEGIN
    SELECT * INTO a FROM account WHERE id = for_account AND tenant_id = for_tenant FOR UPDATE;
    IF NOT FOUND THEN
        verdict := 'unknown';
        RETURN;
    END IF;
    SELECT * INTO posted FROM transfer WHERE tenant_id = for_tenant AND request_id = as_request;
    IF FOUND THEN
        verdict := CASE
            WHEN (posted.account_id, posted.kind, posted.amount) = (for_account, as_kind, by_amount)
             AND posted.hold_id IS NOT DISTINCT FROM of_hold THEN 'posted' ELSE 'reused' END;
        RETURN;
    END IF;
    IF as_kind = 'refund' AND by_amount > ledger_refundable(of_hold, for_account) THEN
        verdict := 'exceeded';
        RETURN;
    END IF;
    a := ledger_post(a, as_kind, by_amount, of_hold, as_request, why);
    PERFORM ledger_save(ARRAY[a]);
    verdict := 'posted';
    SELECT * INTO posted FROM transfer WHERE tenant_id = for_tenant AND request_id = as_request;
END $$;

-- What is left to give back of the charge behind a hold.
CREATE FUNCTION ledger_refundable(of_hold uuid, for_account uuid) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT charged FROM hold WHERE id = of_hold AND account_id = for_account), 0)
         - coalesce((SELECT sum(amount) FROM transfer WHERE hold_id = of_hold AND kind = 'refund'), 0)::bigint
$$;

-- Opens an account with its first credit, once, however many callers see its owner for the first time together.
CREATE FUNCTION ledger_open(
    for_tenant uuid, type_ text, owner text, for_provider text, for_model text, without_limit boolean, first_credit bigint
) RETURNS SETOF account LANGUAGE plpgsql AS $$
DECLARE
    a account;
BEGIN
    INSERT INTO account (tenant_id, owner_type, owner_id, provider, model, unlimited)
    VALUES (for_tenant, type_, owner, for_provider, for_model, without_limit)
    ON CONFLICT DO NOTHING RETURNING * INTO a;
    IF FOUND THEN
        a := ledger_post(a, 'grant', first_credit, NULL, NULL, 'first credit of a new account');
        PERFORM ledger_save(ARRAY[a]);
        IF for_provider <> '*' THEN  -- it stands before an account that processes may have in mind
            PERFORM pg_notify('trunkline_accounts', concat_ws('/', for_tenant, type_, owner));
        END IF;
    END IF;
    RETURN QUERY SELECT * FROM account
    WHERE (tenant_id, owner_type, owner_id, provider, model) = (for_tenant, type_, owner, for_provider, for_model);
END $$;

-- What an operator changes about an account (null: leave it) and tells every process. An account that stands beyond its
-- new limit keeps what it has, as overrun.
CREATE FUNCTION ledger_configure(
    for_tenant uuid, for_account uuid, without_limit boolean, is_suspended boolean, overdraft bigint, low_balance bigint
) RETURNS account LANGUAGE plpgsql AS $$
DECLARE
    a account;
BEGIN
    UPDATE account SET
        unlimited = coalesce(without_limit, unlimited),
        suspended = coalesce(is_suspended, suspended),
        overdraft_limit = coalesce(overdraft, overdraft_limit),
        low_balance_nanos = coalesce(low_balance, low_balance_nanos),
        overrun = CASE WHEN coalesce(without_limit, unlimited) THEN 0 ELSE
            ledger_beyond(posted_debit + held - posted_credit, coalesce(overdraft, overdraft_limit)) END,
        version = version + 1
    WHERE id = for_account AND tenant_id = for_tenant
    RETURNING * INTO a;
    IF FOUND THEN
        PERFORM pg_notify('trunkline_accounts', concat_ws('/', a.tenant_id, a.owner_type, a.owner_id));
    END IF;
    RETURN a;
END $$;
