-- The catalog: what is known of bases and documents.
CREATE TABLE bases (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    name            TEXT NOT NULL UNIQUE,
    model           TEXT NOT NULL,
    dimensions      INTEGER NOT NULL,
    language        TEXT NOT NULL,
    collection      TEXT NOT NULL,
    next_collection TEXT,
    next_model      TEXT,
    next_dimensions INTEGER,
    counter         INTEGER NOT NULL DEFAULT 0,
    documents       INTEGER NOT NULL DEFAULT 0,
    chunks          INTEGER NOT NULL DEFAULT 0,
    created_at      INTEGER NOT NULL
);
CREATE TABLE documents (
    base       INTEGER NOT NULL,
    id         TEXT NOT NULL,
    title      TEXT NOT NULL,
    url        TEXT,
    hash       TEXT NOT NULL,
    status     TEXT NOT NULL,
    error      TEXT,
    enabled    INTEGER NOT NULL,
    metadata   TEXT NOT NULL,
    chunks     INTEGER NOT NULL,
    tokens     INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    revision   INTEGER NOT NULL,
    settings   INTEGER NOT NULL,
    changed    INTEGER NOT NULL,
    built      INTEGER NOT NULL,
    PRIMARY KEY (base, id)
) WITHOUT ROWID;
CREATE TRIGGER documents_added AFTER INSERT ON documents BEGIN
    UPDATE bases SET documents = documents + 1, chunks = chunks + new.chunks WHERE id = new.base;
END;
CREATE TRIGGER documents_changed AFTER UPDATE OF chunks ON documents WHEN new.chunks <> old.chunks BEGIN
    UPDATE bases SET chunks = chunks + new.chunks - old.chunks WHERE id = new.base;
END;
CREATE TRIGGER documents_removed AFTER DELETE ON documents BEGIN
    UPDATE bases SET documents = documents - 1, chunks = chunks - old.chunks WHERE id = old.base;
END;
CREATE TABLE leftovers (collection TEXT PRIMARY KEY) WITHOUT ROWID;

-- The vector store. `changes` counts the changes of a collection; what is in memory is as new as the count it knows.
-- Of changes up to `purged` the tombstones are gone: what is older in memory is read anew.
CREATE TABLE collections (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL UNIQUE,
    dimensions INTEGER NOT NULL,
    changes    INTEGER NOT NULL,
    purged     INTEGER NOT NULL
);
-- A document in a collection. One that was deleted stays as a tombstone: who has it in memory learns of it, and a write
-- that began before is refused.
CREATE TABLE sources (
    row        INTEGER PRIMARY KEY AUTOINCREMENT,
    collection INTEGER NOT NULL,
    document   TEXT NOT NULL,
    revision   INTEGER NOT NULL,
    settings   INTEGER NOT NULL,
    enabled    INTEGER NOT NULL,
    metadata   TEXT NOT NULL,
    deleted    INTEGER NOT NULL,
    change     INTEGER NOT NULL,
    content    INTEGER NOT NULL,
    UNIQUE (collection, document)
);
CREATE INDEX sources_by_change ON sources (collection, change);
CREATE INDEX tombstones ON sources (collection, change) WHERE deleted;
CREATE TABLE chunks (
    row      INTEGER PRIMARY KEY,
    source   INTEGER NOT NULL,
    position INTEGER NOT NULL,
    tokens   INTEGER NOT NULL,
    body     TEXT NOT NULL,
    UNIQUE (source, position)
);
-- What is read into memory: `passage` is a number of it within the document, -1 for none.
CREATE TABLE vectors (
    row      INTEGER PRIMARY KEY,
    source   INTEGER NOT NULL,
    position INTEGER NOT NULL,
    passage  INTEGER NOT NULL,
    length   INTEGER NOT NULL,
    terms    BLOB NOT NULL,
    vector   BLOB NOT NULL
);
CREATE INDEX vectors_by_source ON vectors (source);
