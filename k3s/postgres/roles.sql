-- Roles and schemas of a fresh database, applied once by a superuser in database rendertrust:
--   psql -v ON_ERROR_STOP=1 -v identity=... -v ledger=... -v scheduler=... -v catalog=... -v gateway=... -v dapr=... -v keda=... -f roles.sql
-- Each variable is that role's password. A role owns its schema and nothing else; services make their tables themselves.
CREATE ROLE rendertrust_identity LOGIN PASSWORD :'identity';
CREATE ROLE rendertrust_ledger LOGIN PASSWORD :'ledger';
CREATE ROLE rendertrust_scheduler LOGIN PASSWORD :'scheduler';
CREATE ROLE rendertrust_catalog LOGIN PASSWORD :'catalog';
CREATE ROLE rendertrust_gateway LOGIN PASSWORD :'gateway';
CREATE ROLE rendertrust_dapr LOGIN PASSWORD :'dapr';
CREATE ROLE rendertrust_keda LOGIN PASSWORD :'keda';

CREATE SCHEMA identity AUTHORIZATION rendertrust_identity;
CREATE SCHEMA ledger AUTHORIZATION rendertrust_ledger;
CREATE SCHEMA scheduler AUTHORIZATION rendertrust_scheduler;
CREATE SCHEMA catalog AUTHORIZATION rendertrust_catalog;
CREATE SCHEMA gateway AUTHORIZATION rendertrust_gateway;
CREATE SCHEMA dapr AUTHORIZATION rendertrust_dapr;

REVOKE ALL ON DATABASE rendertrust FROM PUBLIC;
GRANT CONNECT ON DATABASE rendertrust TO
    rendertrust_identity, rendertrust_ledger, rendertrust_scheduler, rendertrust_catalog, rendertrust_gateway, rendertrust_dapr, rendertrust_keda;
REVOKE ALL ON SCHEMA public FROM PUBLIC;

-- KEDA counts the rows of one table, which the scheduler shows it when it makes its tables; it sees nothing else.
GRANT USAGE ON SCHEMA scheduler TO rendertrust_keda;
