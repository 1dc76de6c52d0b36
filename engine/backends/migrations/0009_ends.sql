-- The place of each run in the order in which runs ended: its time in milliseconds times 1024, or one more than the newest.
-- Runs that ended before there was this column have none: nobody waits for them.
ALTER TABLE runs ADD COLUMN ended INTEGER;
CREATE UNIQUE INDEX runs_by_end ON runs (ended) WHERE ended IS NOT NULL;
