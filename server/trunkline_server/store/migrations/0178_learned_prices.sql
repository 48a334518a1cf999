-- What providers' own lists of models told of prices, beside those that operators set: they count where nothing else does.

CREATE TABLE learned_price (
    price_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider text NOT NULL CHECK (provider <> ''),
    model text NOT NULL CHECK (model <> ''),
    version text NOT NULL CHECK (version <> ''),
    effective_time timestamptz NOT NULL,
    tiers text NOT NULL -- JSON, as in the shipped files
);

CREATE INDEX learned_price_latest ON learned_price (provider, model, price_id DESC);

CREATE TRIGGER price_stands BEFORE UPDATE OR DELETE OR TRUNCATE ON learned_price
FOR EACH STATEMENT EXECUTE FUNCTION price_stands();

CREATE TRIGGER models_announce AFTER INSERT ON learned_price
FOR EACH STATEMENT EXECUTE FUNCTION models_announce();
