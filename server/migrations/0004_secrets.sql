-- The vault. Values are sealed; name, version and rules are bound to what is sealed.
CREATE TABLE secrets (
    name        TEXT PRIMARY KEY,
    version     INTEGER NOT NULL,
    key         TEXT NOT NULL,
    sealed      BLOB NOT NULL,
    hosts       TEXT,
    workflows   TEXT,
    description TEXT,
    created_at  INTEGER NOT NULL,
    created_by  TEXT NOT NULL,
    updated_at  INTEGER NOT NULL,
    updated_by  TEXT NOT NULL
) WITHOUT ROWID;
-- Counts the changes of the vault, so that other processes know of them.
CREATE TABLE secret_changes (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    revision INTEGER NOT NULL
);
INSERT INTO secret_changes VALUES (1, 0);
