-- Schedules that were made through the API; those of definitions stand in their versions.
CREATE TABLE schedules (
    workflow   TEXT NOT NULL,
    name       TEXT NOT NULL,
    definition TEXT NOT NULL,
    created_by TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (workflow, name)
) WITHOUT ROWID;
-- How far each schedule was handled, whoever made it. Another timing, or none, begins anew.
CREATE TABLE schedule_states (
    workflow   TEXT NOT NULL,
    name       TEXT NOT NULL,
    timing     TEXT NOT NULL,
    handled_at INTEGER NOT NULL,
    paused_by  TEXT,
    paused_at  INTEGER,
    PRIMARY KEY (workflow, name)
) WITHOUT ROWID;
-- What became of each firing.
CREATE TABLE firings (
    workflow   TEXT NOT NULL,
    name       TEXT NOT NULL,
    due_at     INTEGER NOT NULL,
    fired_at   INTEGER NOT NULL,
    cause      TEXT NOT NULL,
    outcome    TEXT NOT NULL,
    run        TEXT,
    message    TEXT,
    PRIMARY KEY (workflow, name, due_at)
) WITHOUT ROWID;
CREATE INDEX firings_due ON firings (due_at);
CREATE INDEX firings_open ON firings (due_at) WHERE outcome = 'started';
-- Which process looks at schedules. Only one should; that each firing has one run does not depend on it.
CREATE TABLE scheduler (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    holder TEXT NOT NULL,
    until  INTEGER NOT NULL
);
