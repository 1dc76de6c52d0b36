-- What was said in conversations. A turn stands after another one; the head of a conversation is its newest.
CREATE TABLE turns (
    run          BLOB NOT NULL PRIMARY KEY,
    conversation TEXT NOT NULL,
    after        BLOB,
    message      TEXT NOT NULL,
    files        TEXT NOT NULL,
    answer       TEXT,
    at           INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX turns_by_conversation ON turns (conversation);
CREATE TABLE conversations_with_turns (
    id         TEXT NOT NULL PRIMARY KEY,
    variables  TEXT,
    workflow   TEXT,
    title      TEXT,
    head       BLOB,
    created_at INTEGER,
    updated_at INTEGER
) WITHOUT ROWID;
INSERT INTO conversations_with_turns (id, variables) SELECT id, variables FROM conversations;
DROP TABLE conversations;
ALTER TABLE conversations_with_turns RENAME TO conversations;
CREATE INDEX conversations_by_time ON conversations (updated_at) WHERE head IS NOT NULL;
