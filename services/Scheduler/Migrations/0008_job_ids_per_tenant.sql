-- Job ids are their tenant's own: two tenants may use the same one and learn nothing of each other. Inside, a job is known by the key
-- that is derived from tenant and job id (the same value as its task id); what the creator calls it stands beside it.
ALTER TABLE jobs ADD COLUMN client_job_id uuid;
UPDATE jobs SET client_job_id = job_id;
ALTER TABLE jobs ALTER COLUMN client_job_id SET NOT NULL;
ALTER TABLE jobs ADD CONSTRAINT jobs_client_job_id_key UNIQUE (tenant_id, client_job_id);
