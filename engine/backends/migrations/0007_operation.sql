-- Which installation this is, and how it came to be. A restore counts its epoch up, and holds its runs: phase -1.
CREATE TABLE installation (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    id          TEXT NOT NULL,
    epoch       INTEGER NOT NULL,
    restored_at INTEGER,
    backup_at   INTEGER
);
INSERT INTO installation (one, id, epoch) VALUES (1, lower(hex(randomblob(16))), 1);
CREATE INDEX runs_held ON runs (row) WHERE phase = -1;

-- Who pays for a run, and what runs used that ended on a day, with the runs that they started: `account` is empty for all.
ALTER TABLE runs ADD COLUMN account TEXT;
CREATE TABLE spent (
    account TEXT NOT NULL,
    day     INTEGER NOT NULL,  -- days since 1970-01-01 UTC
    tokens  INTEGER NOT NULL,
    cost    INTEGER NOT NULL,  -- in millionths of a US dollar
    PRIMARY KEY (account, day)
) WITHOUT ROWID;
INSERT INTO spent (account, day, tokens, cost)
SELECT '', day, sum(input_tokens + output_tokens), sum(cost) FROM usage GROUP BY day;
