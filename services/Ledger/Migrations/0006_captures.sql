-- One accepted unit and what it cost. Posting into the books comes later, once, by posted_at.
CREATE TABLE captures (
    capture_id text PRIMARY KEY CHECK (length(capture_id) BETWEEN 1 AND 200),
    sequence bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    hold_id uuid NOT NULL REFERENCES holds,
    unit_index int NOT NULL CHECK (unit_index >= 0),
    attempt_id uuid NOT NULL,
    metered_ms bigint NOT NULL CHECK (metered_ms >= 0),
    rate_per_minute bigint NOT NULL CHECK (rate_per_minute >= 0),
    node_rate_per_minute bigint NOT NULL CHECK (node_rate_per_minute >= 0),
    node_tenant_id uuid NOT NULL,
    developer_tenant_id uuid NOT NULL,
    module text NOT NULL,
    developer_percent int NOT NULL CHECK (developer_percent BETWEEN 0 AND 100),
    charge bigint NOT NULL,
    node_share bigint NOT NULL,
    developer_share bigint NOT NULL,
    platform_share bigint NOT NULL,
    -- The node's rate was above the charge: a fault of whoever set the rates, shown by /internal/books.
    node_share_clamped boolean NOT NULL DEFAULT false,
    captured_at timestamptz NOT NULL DEFAULT now(),
    posted_at timestamptz,
    transfer_id uuid UNIQUE REFERENCES transfers,
    release_at timestamptz,
    released_at timestamptz,
    UNIQUE (hold_id, unit_index),
    CONSTRAINT shares_make_the_charge CHECK (
        node_share >= 0 AND developer_share >= 0 AND platform_share >= 0 AND charge = node_share + developer_share + platform_share),
    CONSTRAINT posted_by_a_transfer CHECK ((transfer_id IS NOT NULL) = (posted_at IS NOT NULL AND charge > 0)),
    CONSTRAINT released_after_posted CHECK ((posted_at IS NULL) = (release_at IS NULL) AND (released_at IS NULL OR posted_at IS NOT NULL)));

CREATE INDEX captures_to_post ON captures (sequence) WHERE posted_at IS NULL;
CREATE INDEX captures_to_release ON captures (release_at) WHERE posted_at IS NOT NULL AND released_at IS NULL;

CREATE TRIGGER captures_stay BEFORE DELETE OR TRUNCATE ON captures FOR EACH STATEMENT
    EXECUTE FUNCTION refuse_change('Captures are never removed. Post a correcting transfer.');
CREATE TRIGGER captures_keep_their_facts BEFORE UPDATE OF
    capture_id, hold_id, unit_index, attempt_id, metered_ms, rate_per_minute, node_rate_per_minute, node_tenant_id, developer_tenant_id, module,
    developer_percent, charge, node_share, developer_share, platform_share, node_share_clamped, captured_at
    ON captures FOR EACH STATEMENT
    EXECUTE FUNCTION refuse_change('The facts of a capture never change. Post a correcting transfer.');
CREATE TRIGGER captures_post_once BEFORE UPDATE OF posted_at, transfer_id, release_at, released_at ON captures FOR EACH ROW
    WHEN ((OLD.posted_at IS NOT NULL AND (NEW.posted_at, NEW.transfer_id, NEW.release_at) IS DISTINCT FROM (OLD.posted_at, OLD.transfer_id, OLD.release_at))
        OR OLD.released_at IS NOT NULL)
    EXECUTE FUNCTION refuse_change('A capture is posted once and released once.');
CREATE TRIGGER captures_begin_unposted BEFORE INSERT ON captures FOR EACH ROW WHEN (NEW.posted_at IS NOT NULL OR NEW.released_at IS NOT NULL)
    EXECUTE FUNCTION refuse_change('A capture begins unposted.');

CREATE FUNCTION capture_count() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    -- The hold's own constraint refuses what does not fit, its trigger what comes after the close.
    UPDATE ledger.holds SET captured = captured + NEW.charge WHERE hold_id = NEW.hold_id;
    RETURN NULL;
END $$;
CREATE TRIGGER captures_count AFTER INSERT ON captures FOR EACH ROW WHEN (NEW.charge > 0) EXECUTE FUNCTION capture_count();

CREATE FUNCTION captures_unhold() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM ledger.accounts a
    WHERE a.account IN (
        SELECT h.account FROM old_captures o JOIN ledger.holds h ON h.hold_id = o.hold_id WHERE o.posted_at IS NULL)
    ORDER BY a.account FOR NO KEY UPDATE;
    UPDATE ledger.accounts a SET held = a.held - d.charge
    FROM (
        SELECT h.account, sum(o.charge)::bigint AS charge
        FROM old_captures o
        JOIN new_captures n ON n.capture_id = o.capture_id
        JOIN ledger.holds h ON h.hold_id = o.hold_id
        WHERE o.posted_at IS NULL AND n.posted_at IS NOT NULL
        GROUP BY h.account) d
    WHERE a.account = d.account AND d.charge > 0;
    RETURN NULL;
END $$;
CREATE TRIGGER captures_unhold AFTER UPDATE ON captures REFERENCING OLD TABLE AS old_captures NEW TABLE AS new_captures FOR EACH STATEMENT
    EXECUTE FUNCTION captures_unhold();
