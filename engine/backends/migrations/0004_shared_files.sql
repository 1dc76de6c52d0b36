-- A file may belong to several runs: a fork has the files that the values which it keeps name.
CREATE TABLE files_of_runs (
    run        BLOB NOT NULL,
    id         TEXT NOT NULL,
    name       TEXT NOT NULL,
    mime       TEXT NOT NULL,
    size       INTEGER NOT NULL,
    digest     BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (run, id)
) WITHOUT ROWID;
INSERT INTO files_of_runs SELECT run, id, name, mime, size, digest, created_at FROM files;
DROP TABLE files;
ALTER TABLE files_of_runs RENAME TO files;
