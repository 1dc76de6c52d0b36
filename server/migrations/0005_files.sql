-- Files that were uploaded. What a run was given of them belongs to the run, and is no longer of interest here.
CREATE TABLE uploads (
    id         TEXT PRIMARY KEY,
    owner      TEXT NOT NULL,
    name       TEXT NOT NULL,
    mime       TEXT NOT NULL,
    size       INTEGER NOT NULL,
    sha256     TEXT NOT NULL,
    note       TEXT,
    created_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX uploads_of ON uploads (owner, created_at, id);
CREATE INDEX uploads_age ON uploads (created_at);
-- Requests that may come again.
CREATE TABLE upload_keys (
    owner      TEXT NOT NULL,
    key        TEXT NOT NULL,
    body       TEXT NOT NULL,
    ids        TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (owner, key)
) WITHOUT ROWID;
