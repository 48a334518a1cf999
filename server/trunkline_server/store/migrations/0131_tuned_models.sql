-- Names of tenants' own for models that were trained for them. Who may call what is held in memory: every change is
-- announced on `trunkline_tuned_models`.

CREATE TABLE deployed_model (
    tenant_id       uuid NOT NULL REFERENCES tenant,
    name            text NOT NULL CHECK (name <> '' AND position('/' in name) = 0),
    fine_tune_id    uuid NOT NULL REFERENCES fine_tune,
    provider        text NOT NULL,
    provider_model  text NOT NULL CHECK (provider_model <> ''),
    base_model      text NOT NULL,
    checkpoint_step bigint NOT NULL CHECK (checkpoint_step >= 0),
    create_time     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, name)
);

CREATE FUNCTION tuned_models_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('trunkline_tuned_models', '');
    RETURN NULL;
END
$$;

CREATE TRIGGER tuned_models_changed AFTER INSERT OR UPDATE OR DELETE ON deployed_model
    FOR EACH STATEMENT EXECUTE FUNCTION tuned_models_changed();
CREATE TRIGGER tuned_models_changed AFTER UPDATE OF provider_model ON fine_tune
    FOR EACH ROW WHEN (old.provider_model <> new.provider_model) EXECUTE FUNCTION tuned_models_changed();
CREATE TRIGGER tuned_models_changed AFTER INSERT ON fine_tune_checkpoint
    FOR EACH STATEMENT EXECUTE FUNCTION tuned_models_changed();
