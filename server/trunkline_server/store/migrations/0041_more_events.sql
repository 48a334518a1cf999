-- Events of calls, money, budgets and keys, written by whatever statement makes the change.

-- Every call would write events, so those are written only where somebody wants them: an endpoint, or a reader who has
-- asked lately. The tenant 0 wishes for all tenants.
CREATE TABLE event_wish (
    tenant_id uuid NOT NULL,
    type      text NOT NULL,
    until     timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, type)
);

CREATE FUNCTION event_is_of_call(of_type text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT of_type IN ('ResponseGenerated', 'CostCalculated', 'RequestFailed', 'FailoverTriggered', 'ProviderSwitched')
$$;

CREATE FUNCTION event_is_wanted(of_tenant uuid, of_type text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM event_wish
        WHERE tenant_id IN (of_tenant, '00000000-0000-0000-0000-000000000000') AND type = of_type
          AND until > clock_timestamp()
    ) OR EXISTS (
        SELECT FROM webhook_endpoint
        WHERE tenant_id = of_tenant AND enabled AND NOT for_callbacks AND (types = '{}' OR of_type = ANY (types)))
$$;

CREATE FUNCTION event_amount(unit text, nanos bigint) RETURNS json LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT json_build_object('unit', unit, 'nanos', nanos::text)
$$;

CREATE FUNCTION event_time(moment timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

CREATE FUNCTION event_id_text(prefix text, id uuid) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT prefix || '_' || replace(id::text, '-', '')
$$;

-- Calls ---------------------------------------------------------------------------------------------------------------

CREATE FUNCTION usage_told() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM event_wish) AND NOT EXISTS (SELECT FROM webhook_endpoint WHERE enabled) THEN
        RETURN NULL;
    END IF;
    INSERT INTO event (tenant_id, type, body)
    SELECT u.tenant_id, told.type, told.body
    FROM fresh AS u
    CROSS JOIN LATERAL (VALUES
        ('ResponseGenerated', u.error_reason = '', json_build_object(
            'completionId', event_id_text('cmpl', u.completion_id), 'operation', u.operation, 'provider', u.provider,
            'model', u.model, 'userId', u.user_id, 'outcome', u.outcome, 'finishReason', u.finish_reason,
            'duration', (u.duration_ms / 1000.0)::numeric(12, 3)::text || 's')),
        ('RequestFailed', u.error_reason <> '', json_build_object(
            'completionId', event_id_text('cmpl', u.completion_id), 'provider', u.provider, 'model', u.model,
            'userId', u.user_id, 'errorReason', u.error_reason, 'attemptCount', u.attempts)),
        ('CostCalculated', u.basis <> 'none', json_build_object(
            'completionId', event_id_text('cmpl', u.completion_id), 'provider', u.provider, 'model', u.model,
            'userId', u.user_id, 'inputTokens', u.input_tokens::text, 'outputTokens', u.output_tokens::text,
            'cost', event_amount('USD', u.cost_nano_usd), 'charge', event_amount('CREDIT', u.charge_nanos),
            'priceVersion', u.price_version))
    ) AS told (type, is_so, body)
    WHERE told.is_so AND event_is_wanted(u.tenant_id, told.type);
    RETURN NULL;
END $$;

CREATE TRIGGER usage_told AFTER INSERT ON usage REFERENCING NEW TABLE AS fresh
FOR EACH STATEMENT EXECUTE FUNCTION usage_told();

-- Credits -------------------------------------------------------------------------------------------------------------

CREATE FUNCTION account_told() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO event (tenant_id, type, body) VALUES (NEW.tenant_id, 'CreditsLow', json_build_object(
        'accountId', event_id_text('acct', NEW.id),
        'userId', CASE NEW.owner_type WHEN 'user' THEN NEW.owner_id ELSE '' END,
        'balance', event_amount('CREDIT', NEW.posted_credit - NEW.posted_debit),
        'lowBalance', event_amount('CREDIT', NEW.low_balance_nanos)));
    RETURN NULL;
END $$;

CREATE TRIGGER account_told AFTER UPDATE ON account FOR EACH ROW
WHEN (NEW.posted_credit - NEW.posted_debit < NEW.low_balance_nanos
      AND OLD.posted_credit - OLD.posted_debit >= NEW.low_balance_nanos AND NOT NEW.unlimited)
EXECUTE FUNCTION account_told();

CREATE FUNCTION transfer_told() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO event (tenant_id, type, body)
    SELECT NEW.tenant_id, 'CreditsExpired', json_build_object(
        'accountId', event_id_text('acct', NEW.account_id),
        'userId', CASE owner_type WHEN 'user' THEN owner_id ELSE '' END,
        'amount', event_amount('CREDIT', -NEW.amount), 'balance', event_amount('CREDIT', NEW.balance_after))
    FROM account WHERE id = NEW.account_id;
    RETURN NULL;
END $$;

CREATE TRIGGER transfer_told AFTER INSERT ON transfer FOR EACH ROW
WHEN (NEW.kind = 'expire') EXECUTE FUNCTION transfer_told();

CREATE FUNCTION budget_told() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO event (tenant_id, type, body)
    SELECT tenant_id, 'BudgetThresholdReached', json_build_object(
        'budget', name, 'kind', NEW.kind, 'percent', NEW.percent, 'spent', event_amount(unit, NEW.spent),
        'amount', event_amount(unit, amount), 'userId', NEW.subject[1], 'startTime', event_time(NEW.start_time))
    FROM budget WHERE id = NEW.budget_id;
    RETURN NULL;
END $$;

CREATE TRIGGER budget_told AFTER INSERT ON budget_alert FOR EACH ROW EXECUTE FUNCTION budget_told();

-- API keys ------------------------------------------------------------------------------------------------------------

CREATE FUNCTION api_key_told() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO event (tenant_id, type, body) VALUES (NEW.tenant_id, TG_ARGV[0], CASE TG_ARGV[0]
        WHEN 'ApiKeyCreated' THEN json_build_object('keyId', NEW.key_id, 'name', NEW.name, 'createdBy', NEW.created_by)
        WHEN 'ApiKeyRotated' THEN json_build_object(
            'keyId', NEW.key_id, 'name', NEW.name, 'oldSecretExpireTime', event_time(NEW.previous_expire_time))
        ELSE json_build_object('keyId', NEW.key_id, 'name', NEW.name) END);
    RETURN NULL;
END $$;

CREATE TRIGGER api_key_created AFTER INSERT ON api_key FOR EACH ROW EXECUTE FUNCTION api_key_told('ApiKeyCreated');

CREATE TRIGGER api_key_rotated AFTER UPDATE OF secret_hash ON api_key FOR EACH ROW
WHEN (NEW.secret_hash <> OLD.secret_hash) EXECUTE FUNCTION api_key_told('ApiKeyRotated');

CREATE TRIGGER api_key_revoked AFTER UPDATE OF revoke_time ON api_key FOR EACH ROW
WHEN (NEW.revoke_time IS NOT NULL AND OLD.revoke_time IS NULL) EXECUTE FUNCTION api_key_told('ApiKeyRevoked');

-- Webhooks of providers -----------------------------------------------------------------------------------------------

CREATE TABLE inbound_webhook (
    provider    text NOT NULL,
    webhook_id  text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (provider, webhook_id)
);

CREATE INDEX inbound_webhook_by_age ON inbound_webhook (create_time);

-- Notes a webhook, once, and has the jobs that it is about look at the provider at once. Returns those that run now.
CREATE FUNCTION inbound_webhook_take(from_provider text, id text, kind text, of_operation text) RETURNS SETOF uuid
LANGUAGE plpgsql AS $$
DECLARE
    waiting job;
BEGIN
    INSERT INTO inbound_webhook (provider, webhook_id) VALUES (from_provider, id) ON CONFLICT DO NOTHING;
    IF NOT FOUND OR of_operation = '' THEN
        RETURN;
    END IF;
    FOR waiting IN
        SELECT job.* FROM operation AS o JOIN job ON job.id = o.job_id
        WHERE job.provider = from_provider AND job.state IN ('queued', 'delayed', 'running')
          AND regexp_split_to_array(o.operation, '[^A-Za-z0-9_.:-]+') @> ARRAY[of_operation]
    LOOP
        INSERT INTO event (tenant_id, type, body) VALUES (waiting.tenant_id, 'WebhookReceived', json_build_object(
            'provider', from_provider, 'webhookId', id, 'providerType', kind, 'operationId', of_operation,
            'jobId', event_id_text('job', waiting.id)));
        IF waiting.state = 'running' THEN
            RETURN NEXT waiting.id;
        ELSIF waiting.state = 'delayed' THEN
            UPDATE job SET run_at = least(run_at, clock_timestamp()) WHERE job.id = waiting.id AND state = 'delayed';
        END IF;
    END LOOP;
END $$;
