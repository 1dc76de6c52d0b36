-- The definitions of the installation, version by version. Versions are never changed and never reused.
CREATE TABLE workflows (
    name       TEXT PRIMARY KEY,
    latest     INTEGER NOT NULL,
    published  INTEGER,
    deleted    INTEGER NOT NULL DEFAULT 0,
    updated_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE versions (
    workflow   TEXT NOT NULL,
    version    INTEGER NOT NULL,
    digest     TEXT NOT NULL,
    source     TEXT NOT NULL,
    files      TEXT NOT NULL,
    note       TEXT,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (workflow, version)
) WITHOUT ROWID;
