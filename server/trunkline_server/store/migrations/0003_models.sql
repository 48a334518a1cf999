-- What is known of models beside the shipped files and the settings: offers of providers, aliases, prices that were set.
-- Every change is announced on `trunkline_models`.

CREATE TABLE model (
    provider text NOT NULL CHECK (provider <> ''),
    model text NOT NULL CHECK (model <> ''),
    display_name text NOT NULL,
    context_window integer NOT NULL CHECK (context_window >= 0),
    max_output_tokens integer NOT NULL CHECK (max_output_tokens >= 0),
    found_time timestamptz NOT NULL DEFAULT now(),
    gone_time timestamptz,
    PRIMARY KEY (provider, model)
);

CREATE TABLE model_alias (
    alias text PRIMARY KEY CHECK (alias <> '' AND position('/' in alias) = 0),
    models text[] NOT NULL CHECK (cardinality(models) > 0),
    set_by text NOT NULL,
    set_time timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE price (
    price_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider text NOT NULL CHECK (provider <> ''),
    model text NOT NULL CHECK (model <> ''),
    version text NOT NULL CHECK (version <> ''),
    effective_time timestamptz NOT NULL,
    tiers text NOT NULL, -- JSON, as in the shipped files
    source text NOT NULL,
    set_by text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION price_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'prices are only added' USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER price_stands BEFORE UPDATE OR DELETE OR TRUNCATE ON price
FOR EACH STATEMENT EXECUTE FUNCTION price_stands();

CREATE FUNCTION models_announce() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('trunkline_models', '');
    RETURN NULL;
END
$$;

CREATE TRIGGER models_announce AFTER INSERT OR UPDATE OR DELETE ON model
FOR EACH STATEMENT EXECUTE FUNCTION models_announce();

CREATE TRIGGER models_announce AFTER INSERT OR UPDATE OR DELETE ON model_alias
FOR EACH STATEMENT EXECUTE FUNCTION models_announce();

CREATE TRIGGER models_announce AFTER INSERT ON price
FOR EACH STATEMENT EXECUTE FUNCTION models_announce();
