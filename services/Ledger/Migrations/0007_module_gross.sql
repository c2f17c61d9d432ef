-- Lifetime gross of a module over all its versions: settled charges. It decides the developer's tier.
-- Counted by the posting, not by the capture: a row that every unit of a popular module must lock would be the slowest on the way of a result.
CREATE TABLE module_gross (
    module_name text PRIMARY KEY,
    gross_microcredits bigint NOT NULL DEFAULT 0 CHECK (gross_microcredits >= 0),
    upper_tier_since timestamptz);

-- Set in the moment the gross passes 10,000 credits ($1,000), and never taken back.
CREATE FUNCTION module_gross_tier() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.upper_tier_since IS NOT NULL THEN
        NEW.upper_tier_since := OLD.upper_tier_since;
    ELSIF NEW.gross_microcredits > 10000000000 THEN
        NEW.upper_tier_since := coalesce(NEW.upper_tier_since, now());
    ELSE
        NEW.upper_tier_since := NULL;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER module_gross_tier BEFORE INSERT OR UPDATE ON module_gross FOR EACH ROW EXECUTE FUNCTION module_gross_tier();
CREATE TRIGGER module_gross_stays BEFORE DELETE OR TRUNCATE ON module_gross FOR EACH STATEMENT
    EXECUTE FUNCTION refuse_change('A module keeps its lifetime gross.');
