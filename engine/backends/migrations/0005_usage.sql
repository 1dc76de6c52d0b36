-- What a run used of models, as JSON; NULL when nothing, or before it ended.
ALTER TABLE runs ADD COLUMN usage TEXT;

-- What the runs that ended on a day used of a model. It outlives the runs, and says nothing about whom they were about.
CREATE TABLE usage (
    day              INTEGER NOT NULL,  -- days since 1970-01-01 UTC
    workflow         TEXT NOT NULL,
    model            TEXT NOT NULL,
    runs             INTEGER NOT NULL,
    calls            INTEGER NOT NULL,
    input_tokens     INTEGER NOT NULL,
    cached_tokens    INTEGER NOT NULL,
    output_tokens    INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    cost             INTEGER NOT NULL,  -- in millionths of a US dollar
    unpriced         INTEGER NOT NULL,
    PRIMARY KEY (day, workflow, model)
) WITHOUT ROWID;
