-- What tenants keep out of their calls, as a message of the contract. Every change is announced on `trunkline_guards`.

CREATE TABLE guard_policy (
    tenant_id uuid PRIMARY KEY REFERENCES tenant,
    policy bytea NOT NULL,
    set_by text NOT NULL,
    set_time timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION guards_announce() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('trunkline_guards', '');
    RETURN NULL;
END
$$;

CREATE TRIGGER guards_announce AFTER INSERT OR UPDATE OR DELETE ON guard_policy
FOR EACH STATEMENT EXECUTE FUNCTION guards_announce();
