-- How far fine-tunes are is told as it changes; of their end, when what they cost is posted.

CREATE FUNCTION fine_tune_tell(told fine_tune, as_state text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO event (tenant_id, type, body) VALUES (told.tenant_id, 'FineTuneStateChanged', json_build_object(
        'fineTuneId', event_id_text('ft', told.fine_tune_id),
        'state', 'FINE_TUNE_STATE_' || upper(as_state),
        'provider', told.provider,
        'baseModel', told.base_model,
        'providerModel', told.provider_model,
        'userId', told.user_id,
        'errorCode', told.error_code,
        'charge', event_amount('CREDIT', told.charge_nanos)))
$$;

CREATE FUNCTION fine_tune_told() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM fine_tune_tell(new, new.state);
    RETURN NULL;
END $$;

CREATE TRIGGER fine_tune_begun AFTER INSERT ON fine_tune FOR EACH ROW EXECUTE FUNCTION fine_tune_told();
CREATE TRIGGER fine_tune_goes_on AFTER UPDATE OF state ON fine_tune
    FOR EACH ROW WHEN (old.state <> new.state AND new.end_time IS NULL) EXECUTE FUNCTION fine_tune_told();

CREATE FUNCTION fine_tune_carried() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM fine_tune_tell(f, CASE WHEN f.end_time IS NULL THEN 'failed' ELSE f.state END)
    FROM fine_tune AS f WHERE f.fine_tune_id = new.id;
    RETURN NULL;
END $$;

CREATE TRIGGER fine_tune_ended AFTER UPDATE OF ended_at ON job
    FOR EACH ROW WHEN (new.kind = 'fine_tune' AND old.ended_at IS NULL AND new.ended_at IS NOT NULL)
    EXECUTE FUNCTION fine_tune_carried();
