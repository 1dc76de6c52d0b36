-- How far each `after` trigger was handled, in the order in which runs ended. Other runs that it waits for begin anew.
CREATE TABLE after_states (
    workflow TEXT NOT NULL,
    name     TEXT NOT NULL,
    watched  TEXT NOT NULL,
    place    INTEGER NOT NULL,
    PRIMARY KEY (workflow, name)
) WITHOUT ROWID;
-- What became of the ends of runs that triggers waited for.
CREATE TABLE after_firings (
    workflow TEXT NOT NULL,
    name     TEXT NOT NULL,
    ended    TEXT NOT NULL,
    place    INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    run      TEXT,
    message  TEXT,
    PRIMARY KEY (workflow, name, ended)
) WITHOUT ROWID;
CREATE INDEX after_firings_at ON after_firings (at);
