-- Models in training. The id of a fine-tune is also that of the job that carries it, which nobody sees, and of what is
-- held for it.

CREATE TABLE fine_tune (
    fine_tune_id     uuid PRIMARY KEY,
    tenant_id        uuid NOT NULL REFERENCES tenant,
    user_id          text NOT NULL,
    key_id           text NOT NULL,
    provider         text NOT NULL CHECK (provider <> ''),
    account_id       uuid NOT NULL, -- as in `file_copy`
    base_model       text NOT NULL CHECK (base_model <> ''),
    wanted           bytea NOT NULL, -- `trunkline.v1.CreateFineTuneRequest`
    price            text, -- JSON, as in the shipped files; null: it costs nothing here
    estimated_tokens bigint NOT NULL CHECK (estimated_tokens >= 0),
    held_account     uuid NOT NULL,
    held_nanos       bigint NOT NULL CHECK (held_nanos >= 0),
    state            text NOT NULL DEFAULT 'queued'
                     CHECK (state IN ('queued', 'validating', 'running', 'succeeded', 'failed', 'cancelled')),
    cancel_requested boolean NOT NULL DEFAULT false,
    provider_model   text NOT NULL DEFAULT '',
    trained_tokens   bigint NOT NULL DEFAULT 0 CHECK (trained_tokens >= 0),
    basis            text NOT NULL DEFAULT 'none', -- as in `usage`
    cost_nano_usd    bigint NOT NULL DEFAULT 0,
    charge_nanos     bigint NOT NULL DEFAULT 0,
    error_code       text NOT NULL DEFAULT '',
    error            bytea, -- `google.rpc.Status`
    create_time      timestamptz NOT NULL DEFAULT now(),
    end_time         timestamptz,
    CHECK ((state IN ('succeeded', 'failed', 'cancelled')) = (end_time IS NOT NULL))
);

CREATE INDEX fine_tune_page ON fine_tune (tenant_id, fine_tune_id DESC);
CREATE INDEX fine_tune_open ON fine_tune (fine_tune_id) WHERE end_time IS NULL;

CREATE TABLE fine_tune_checkpoint (
    fine_tune_id   uuid NOT NULL REFERENCES fine_tune ON DELETE CASCADE,
    step           bigint NOT NULL CHECK (step >= 0),
    provider_model text NOT NULL,
    checkpoint     bytea NOT NULL, -- `trunkline.v1.FineTuneCheckpoint`
    PRIMARY KEY (fine_tune_id, step)
);

CREATE TABLE fine_tune_event (
    place        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    fine_tune_id uuid NOT NULL REFERENCES fine_tune ON DELETE CASCADE,
    named        text NOT NULL, -- by its provider
    event        bytea NOT NULL, -- `trunkline.v1.FineTuneEvent`
    UNIQUE (fine_tune_id, named)
);

CREATE INDEX fine_tune_event_page ON fine_tune_event (fine_tune_id, place);
