-- A job's row changes with every event of the job. With room in its page the new version stays beside the old one, and no index hears of it.
ALTER TABLE jobs SET (fillfactor = 50);
ALTER TABLE attempts SET (fillfactor = 70);
