-- Runs by order of creation; a row is never used again.
CREATE TABLE runs (
    row            INTEGER PRIMARY KEY AUTOINCREMENT,
    id             BLOB NOT NULL UNIQUE,
    workflow       TEXT NOT NULL,
    digest         BLOB NOT NULL,
    phase          INTEGER NOT NULL,  -- 0 queued, 1 running, 2 waiting, 3 ended
    status         INTEGER,           -- 0 succeeded, 1 failed, 2 cancelled
    epoch          INTEGER NOT NULL,
    seq            INTEGER NOT NULL,
    owner          BLOB,
    wake_at        INTEGER,
    parent_run     BLOB,
    parent_node    TEXT,
    parent_attempt INTEGER,
    trigger        TEXT NOT NULL,
    conversation   TEXT,
    error          TEXT,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL
);
CREATE INDEX runs_open ON runs (phase, wake_at) WHERE phase < 3;
CREATE INDEX runs_ended ON runs (updated_at) WHERE phase = 3;
CREATE INDEX runs_workflow ON runs (workflow);
CREATE INDEX runs_parent ON runs (parent_run) WHERE parent_run IS NOT NULL;

-- The place of a record is (row of its run << 24) + seq: the records of a run lie together, in order.
CREATE TABLE records (
    place INTEGER PRIMARY KEY,
    at    INTEGER NOT NULL,
    body  TEXT NOT NULL
);

-- The body is dropped when the message is consumed; its id stays until the run ends.
CREATE TABLE inbox (
    row  INTEGER PRIMARY KEY AUTOINCREMENT,
    run  INTEGER NOT NULL,
    id   TEXT NOT NULL,
    body TEXT,
    UNIQUE (run, id)
);
CREATE INDEX inbox_open ON inbox (run) WHERE body IS NOT NULL;

-- A session is alive while its process holds `sessions/ID.lock` and its heartbeat is younger than the lease.
CREATE TABLE sessions (
    id        BLOB PRIMARY KEY,
    heartbeat INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE bundles (
    digest BLOB PRIMARY KEY,
    body   TEXT NOT NULL
);

CREATE TABLE start_keys (
    caller   TEXT NOT NULL,
    workflow TEXT NOT NULL,
    key      TEXT NOT NULL,
    body     BLOB NOT NULL,
    run      BLOB NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (caller, workflow, key)
) WITHOUT ROWID;
CREATE INDEX start_keys_run ON start_keys (run);

CREATE TABLE conversations (
    id        TEXT PRIMARY KEY,
    variables TEXT NOT NULL
) WITHOUT ROWID;

-- Which run names which blob.
CREATE TABLE blobs (
    run    BLOB NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (run, digest)
) WITHOUT ROWID;
CREATE INDEX blobs_digest ON blobs (digest);

-- A file may be older than the row of its run: with `durability: end` that comes last.
CREATE TABLE files (
    id         TEXT PRIMARY KEY,
    run        BLOB NOT NULL,
    name       TEXT NOT NULL,
    mime       TEXT NOT NULL,
    size       INTEGER NOT NULL,
    digest     BLOB NOT NULL,
    created_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX files_run ON files (run);

CREATE TABLE kv (
    namespace TEXT NOT NULL,
    key       TEXT NOT NULL,
    value     TEXT NOT NULL,
    version   INTEGER NOT NULL,
    PRIMARY KEY (namespace, key)
) WITHOUT ROWID;

CREATE TABLE outputs (
    key    BLOB PRIMARY KEY,
    output TEXT NOT NULL,
    until  INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX outputs_until ON outputs (until);

-- For people who look with `sqlite3`: the journal of each run, as it was written.
CREATE VIEW journal AS
SELECT lower(hex(runs.id)) AS run, runs.workflow, records.place & 0xffffff AS seq, records.at, records.body
FROM runs JOIN records ON records.place BETWEEN (runs.row << 24) + 1 AND (runs.row << 24) + 0xffffff;
