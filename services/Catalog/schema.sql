-- The present schema of this service: what all migrations together make. A test proves it.

-- A name belongs to the tenant that published it first.
CREATE TABLE module_names (
    name text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9-]{0,62}$'),
    tenant_id uuid NOT NULL,
    created_at timestamptz NOT NULL);

CREATE TABLE module_versions (
    name text NOT NULL REFERENCES module_names,
    version text NOT NULL,
    -- 1.10.0 is newer than 1.9.0.
    version_order int[] NOT NULL CHECK (cardinality(version_order) = 3),
    device_kind text NOT NULL CHECK (device_kind IN ('cpu', 'gpu')),
    image_digest text NOT NULL CHECK (image_digest ~ '^sha256:[0-9a-f]{64}$'),
    rate_per_minute_microcredits bigint NOT NULL,
    -- What a node earned per minute when this was published: a rate below it would make someone else pay.
    node_rate_per_minute_microcredits bigint NOT NULL CHECK (node_rate_per_minute_microcredits >= 0),
    -- Canonical JSON of what was published, byte for byte what content_sha256 is of.
    content text NOT NULL,
    content_sha256 text NOT NULL CHECK (content_sha256 ~ '^[0-9a-f]{64}$'),
    published_at timestamptz NOT NULL,
    PRIMARY KEY (name, version),
    CHECK (rate_per_minute_microcredits >= node_rate_per_minute_microcredits AND rate_per_minute_microcredits > 0));
CREATE INDEX module_versions_newest ON module_versions (name, version_order DESC);

-- Versions are immutable, whoever writes: jobs were priced and sealed by them.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'Module versions never change. Publish a new version instead.';
END $$;
CREATE TRIGGER module_versions_never_change BEFORE UPDATE OR DELETE ON module_versions FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Facts leave in the transaction that made them true (libs/Postgres, Outbox.TableSql).
CREATE TABLE outbox (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id uuid NOT NULL UNIQUE, component text NOT NULL, topic text NOT NULL, payload jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(), trace_parent text, trace_state text);
CREATE TABLE inbox (message_id uuid PRIMARY KEY, received_at timestamptz NOT NULL DEFAULT now());
