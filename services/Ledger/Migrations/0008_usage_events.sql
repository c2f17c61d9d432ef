-- What was used, by whom, on whose node, with whose module: one row per capture, written with its posting.
CREATE TABLE usage_events (
    usage_event_id uuid PRIMARY KEY,
    capture_id text NOT NULL UNIQUE REFERENCES captures,
    tenant_id uuid NOT NULL,
    job_id uuid NOT NULL,
    unit_index int NOT NULL,
    attempt_id uuid NOT NULL,
    module text NOT NULL,
    node_tenant_id uuid NOT NULL,
    developer_tenant_id uuid NOT NULL,
    metered_ms bigint NOT NULL,
    charge bigint NOT NULL,
    node_share bigint NOT NULL,
    developer_share bigint NOT NULL,
    platform_share bigint NOT NULL,
    at timestamptz NOT NULL);

CREATE INDEX usage_events_by_tenant ON usage_events (tenant_id, at);
CREATE INDEX usage_events_by_node_owner ON usage_events (node_tenant_id);
CREATE INDEX usage_events_by_developer ON usage_events (developer_tenant_id);

CREATE TRIGGER usage_events_are_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON usage_events FOR EACH STATEMENT
    EXECUTE FUNCTION refuse_change('Usage events are immutable.');
