-- Runs by order of creation; a number is never used again.
CREATE SEQUENCE run_numbers;
CREATE TABLE runs (
    id             uuid PRIMARY KEY,
    number         bigint NOT NULL UNIQUE,
    workflow       text NOT NULL,
    digest         bytea NOT NULL,
    phase          bigint NOT NULL,  -- -1 held, 0 queued, 1 running, 2 waiting, 3 ended
    status         bigint,           -- 0 succeeded, 1 failed, 2 cancelled
    epoch          bigint NOT NULL,
    seq            bigint NOT NULL,
    owner          uuid,
    timeline       bigint NOT NULL,  -- of the server, when the run was taken
    wake_at        bigint,
    parent_run     uuid,
    parent_node    text,
    parent_attempt bigint,
    trigger        text NOT NULL,
    conversation   text,
    subject        text,
    account        text,             -- who pays
    error          text,
    usage          text,             -- what it used of models, as JSON; NULL when nothing, or before it ended
    created_at     bigint NOT NULL,
    updated_at     bigint NOT NULL,
    ended_at       bigint,           -- `updated_at` changes with every append, so no index may have it
    ended          bigint            -- its place in the order in which runs ended
) WITH (fillfactor = 80);
CREATE INDEX runs_held ON runs (number) WHERE phase = -1;
CREATE INDEX runs_queued ON runs (number) WHERE phase = 0;
CREATE INDEX runs_running ON runs (owner) WHERE phase = 1;
CREATE INDEX runs_waiting ON runs (wake_at) WHERE phase = 2;
CREATE INDEX runs_ended ON runs (ended_at, number) WHERE ended_at IS NOT NULL;
CREATE UNIQUE INDEX runs_by_end ON runs (ended) WHERE ended IS NOT NULL;
CREATE INDEX runs_workflow ON runs (workflow, number);
CREATE INDEX runs_parent ON runs (parent_run) WHERE parent_run IS NOT NULL;
CREATE INDEX runs_subject ON runs (subject) WHERE subject IS NOT NULL;
CREATE INDEX runs_conversation ON runs (conversation) WHERE conversation IS NOT NULL;

-- The newest place in the order in which runs ended: a run's time in milliseconds times 1024, or one more than the newest.
-- Who ends a run locks it until the commit, so that places are seen in their order.
CREATE TABLE ends (
    one   bigint PRIMARY KEY CHECK (one = 1),
    place bigint NOT NULL
);
INSERT INTO ends (one, place) VALUES (1, 0);

CREATE TABLE records (
    run  bigint NOT NULL,  -- the number of the run
    seq  bigint NOT NULL,
    at   bigint NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (run, seq)
);

-- The body is dropped when the message is consumed; its id stays until the run ends.
CREATE TABLE inbox (
    number  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run     bigint NOT NULL,
    id      text NOT NULL,
    body    text,
    cancels boolean NOT NULL,
    UNIQUE (run, id)
);
CREATE INDEX inbox_open ON inbox (run) WHERE body IS NOT NULL;

-- A session is alive while its heartbeat is younger than the lease, by the clock of the database.
CREATE TABLE sessions (
    id        uuid PRIMARY KEY,
    heartbeat bigint NOT NULL
);

CREATE TABLE bundles (
    digest bytea PRIMARY KEY,
    body   text NOT NULL
);

CREATE TABLE start_keys (
    caller   text NOT NULL,
    workflow text NOT NULL,
    key      text NOT NULL,
    body     bytea NOT NULL,
    run      uuid NOT NULL,
    at       bigint NOT NULL,
    PRIMARY KEY (caller, workflow, key)
);
CREATE INDEX start_keys_run ON start_keys (run);

-- Which run is counted under which key. It does not hold the key while it waits for room; the rows go when it ends.
CREATE TABLE holds (
    key    text NOT NULL,
    number bigint NOT NULL,
    id     uuid NOT NULL,
    room   bigint NOT NULL,  -- so many runs may hold the key at once, as this run sees it
    held   boolean NOT NULL,
    PRIMARY KEY (key, number)
);
CREATE INDEX holds_run ON holds (id);
CREATE INDEX holds_held ON holds (key, number) WHERE held;
CREATE INDEX holds_waiting ON holds (key, number) WHERE NOT held;

-- What was said in conversations. A turn stands after another one; the head of a conversation is its newest.
CREATE TABLE turns (
    run          uuid PRIMARY KEY,
    conversation text NOT NULL,
    after        uuid,
    message      text NOT NULL,
    files        text NOT NULL,
    answer       text,
    at           bigint NOT NULL,
    rating       bigint  -- what a person thinks of the answer: 1 is up, -1 is down
);
CREATE INDEX turns_by_conversation ON turns (conversation);
CREATE TABLE conversations (
    id         text PRIMARY KEY,
    variables  text,
    workflow   text,
    title      text,
    head       uuid,
    space      text,    -- whose it is: a speaker of a space; NULL is nobody's in particular
    speaker    text,
    created_at bigint,
    updated_at bigint
);
CREATE INDEX conversations_by_time ON conversations (updated_at, head) WHERE head IS NOT NULL;
CREATE INDEX conversations_by_speaker ON conversations (space, speaker, updated_at) WHERE head IS NOT NULL;

-- What the runs that ended on a day used of a model. It outlives the runs, and says nothing about whom they were about.
CREATE TABLE usage (
    day              bigint NOT NULL,  -- days since 1970-01-01 UTC
    workflow         text NOT NULL,
    model            text NOT NULL,
    runs             bigint NOT NULL,
    calls            bigint NOT NULL,
    input_tokens     bigint NOT NULL,
    cached_tokens    bigint NOT NULL,
    output_tokens    bigint NOT NULL,
    reasoning_tokens bigint NOT NULL,
    cost             bigint NOT NULL,  -- in millionths of a US dollar
    unpriced         bigint NOT NULL,
    PRIMARY KEY (day, workflow, model)
);

-- What runs used that ended on a day, with the runs that they started: `account` is empty for all.
CREATE TABLE spent (
    account text NOT NULL,
    day     bigint NOT NULL,  -- days since 1970-01-01 UTC
    tokens  bigint NOT NULL,
    cost    bigint NOT NULL,  -- in millionths of a US dollar
    PRIMARY KEY (account, day)
);

-- Which installation this is, and how it came to be.
CREATE TABLE installation (
    one         bigint PRIMARY KEY CHECK (one = 1),
    id          text NOT NULL,
    epoch       bigint NOT NULL,
    restored_at bigint,
    backup_at   bigint
);
INSERT INTO installation (one, id, epoch) VALUES (1, replace(gen_random_uuid()::text, '-', ''), 1);

-- Which run names which blob.
CREATE TABLE blobs (
    run    uuid NOT NULL,
    digest bytea NOT NULL,
    PRIMARY KEY (run, digest)
);
CREATE INDEX blobs_digest ON blobs (digest);

-- A file may belong to several runs, and be older than the row of its run: with `durability: end` that comes last.
CREATE TABLE files (
    run        uuid NOT NULL,
    id         text NOT NULL,
    name       text NOT NULL,
    mime       text NOT NULL,
    size       bigint NOT NULL,
    digest     bytea NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (run, id)
);
CREATE INDEX files_created ON files (created_at);

CREATE TABLE kv (
    namespace text NOT NULL,
    key       text NOT NULL,
    value     text NOT NULL,
    version   bigint NOT NULL,
    PRIMARY KEY (namespace, key)
);

CREATE TABLE outputs (
    key    bytea PRIMARY KEY,
    output text NOT NULL,
    until  bigint NOT NULL,
    run    uuid NOT NULL
);
CREATE INDEX outputs_until ON outputs (until);
CREATE INDEX outputs_run ON outputs (run);

-- For people who look with `psql`: the journal of each run, as it was written.
CREATE VIEW journal AS
SELECT runs.id AS run, runs.workflow, records.seq, records.at, records.body
FROM runs JOIN records ON records.run = runs.number;
