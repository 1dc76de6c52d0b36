-- Whom a run is about, and which run filled a cached output: both go with `liteagent forget --subject`.
ALTER TABLE runs ADD COLUMN subject TEXT;
CREATE INDEX runs_subject ON runs (subject) WHERE subject IS NOT NULL;
ALTER TABLE outputs ADD COLUMN run BLOB;
CREATE INDEX outputs_run ON outputs (run) WHERE run IS NOT NULL;
