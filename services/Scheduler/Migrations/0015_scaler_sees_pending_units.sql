-- KEDA scales the placer by what waits unexamined. Its role exists only where a cluster was laid out for it (k3s/postgres/roles.sql).
DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'rendertrust_keda') THEN
        GRANT SELECT (state) ON pending_units TO rendertrust_keda;
    END IF;
END $$;
