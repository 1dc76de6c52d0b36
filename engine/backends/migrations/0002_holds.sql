-- Which run is counted under which key. `held` is 0 while the run waits for room; the rows go when it ends.
CREATE TABLE holds (
    key   TEXT NOT NULL,
    run   INTEGER NOT NULL,
    room  INTEGER NOT NULL,  -- so many runs may hold the key at once, as this run sees it
    held  INTEGER NOT NULL,
    PRIMARY KEY (key, run)
) WITHOUT ROWID;
CREATE INDEX holds_run ON holds (run);
CREATE INDEX holds_held ON holds (key, run) WHERE held = 1;
CREATE INDEX holds_waiting ON holds (key, run) WHERE held = 0;
