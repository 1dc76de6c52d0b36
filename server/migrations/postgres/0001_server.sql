-- The definitions of the installation, version by version. Versions are never changed and never reused. Names are ordered by
-- their bytes, whatever the language of the database.
CREATE TABLE workflows (
    name       text COLLATE "C" PRIMARY KEY,
    latest     bigint NOT NULL,
    published  bigint,
    deleted    boolean NOT NULL,
    updated_at bigint NOT NULL
);
CREATE TABLE workflow_versions (
    workflow   text COLLATE "C" NOT NULL,
    version    bigint NOT NULL,
    digest     text NOT NULL,
    source     text NOT NULL,
    files      text NOT NULL,
    note       text,
    created_by text NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (workflow, version)
);

-- Who may use the installation, and what they did. Passwords are kept as PHC strings, every other secret as its SHA-256.
CREATE TABLE users (
    id           text PRIMARY KEY,
    email        text COLLATE "C" NOT NULL UNIQUE,
    role         text NOT NULL,
    password     text,
    disabled     boolean NOT NULL,
    created_at   bigint NOT NULL,
    signed_in_at bigint
);
-- Links that work once. One without a user makes the first owner; any other sets the password of its user.
CREATE TABLE links (
    hash       bytea PRIMARY KEY,
    user_id    text REFERENCES users ON DELETE CASCADE,
    expires_at bigint NOT NULL
);
CREATE INDEX links_of_user ON links (user_id);
CREATE TABLE user_sessions (
    id         text PRIMARY KEY,
    user_id    text NOT NULL REFERENCES users ON DELETE CASCADE,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL
);
CREATE INDEX user_sessions_of_user ON user_sessions (user_id);
-- Every refresh token of a session that goes on: one that comes a second time was stolen. Who changes one locks its session.
CREATE TABLE refresh_tokens (
    hash    bytea PRIMARY KEY,
    session text NOT NULL REFERENCES user_sessions ON DELETE CASCADE,
    used    boolean NOT NULL
);
CREATE INDEX refresh_tokens_of_session ON refresh_tokens (session);
-- How often it was tried in vain to sign in: by account, and by address.
CREATE TABLE sign_in_failures (
    subject text PRIMARY KEY,
    count   bigint NOT NULL,
    last_at bigint NOT NULL
);
CREATE TABLE api_keys (
    id         text PRIMARY KEY,
    hash       bytea NOT NULL UNIQUE,
    prefix     text NOT NULL,
    name       text NOT NULL,
    kind       text NOT NULL,
    scope      text NOT NULL,
    rate       bigint,
    runs       bigint,  -- at once; NULL is no limit of its own, as in the next two
    tokens     bigint,  -- a day
    cost       bigint,  -- a day, in millionths of a US dollar
    read_only  boolean NOT NULL,
    created_by text NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint,
    revoked_at bigint,
    used_at    bigint
);
CREATE TABLE audit (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      bigint NOT NULL,
    who     text NOT NULL,
    action  text NOT NULL,
    target  text NOT NULL,
    address text NOT NULL,
    outcome text NOT NULL
);
CREATE INDEX audit_by_time ON audit (at);

-- Schedules that were made through the API; those of definitions stand in their versions.
CREATE TABLE schedules (
    workflow   text COLLATE "C" NOT NULL,
    name       text COLLATE "C" NOT NULL,
    definition text NOT NULL,
    created_by text NOT NULL,
    updated_at bigint NOT NULL,
    PRIMARY KEY (workflow, name)
);
-- How far each schedule was handled, whoever made it. Another timing, or none, begins anew.
CREATE TABLE schedule_states (
    workflow   text NOT NULL,
    name       text NOT NULL,
    timing     text NOT NULL,
    handled_at bigint NOT NULL,
    paused_by  text,
    paused_at  bigint,
    PRIMARY KEY (workflow, name)
);
-- What became of each firing.
CREATE TABLE schedule_firings (
    workflow text NOT NULL,
    name     text NOT NULL,
    due_at   bigint NOT NULL,
    fired_at bigint NOT NULL,
    cause    text NOT NULL,
    outcome  text NOT NULL,
    run      uuid,
    message  text,
    PRIMARY KEY (workflow, name, due_at)
);
CREATE INDEX schedule_firings_due ON schedule_firings (due_at);
CREATE INDEX schedule_firings_open ON schedule_firings (due_at) WHERE outcome = 'started';
-- Which process looks at schedules. Only one should; that each firing has one run does not depend on it.
CREATE TABLE scheduler (
    one    bigint PRIMARY KEY CHECK (one = 1),
    holder text NOT NULL,
    until  bigint NOT NULL
);
-- How far each `after` trigger was handled, in the order in which runs ended. Other runs that it waits for begin anew.
CREATE TABLE after_states (
    workflow text NOT NULL,
    name     text NOT NULL,
    watched  text NOT NULL,
    place    bigint NOT NULL,
    PRIMARY KEY (workflow, name)
);
-- What became of the ends of runs that triggers waited for.
CREATE TABLE after_firings (
    workflow text NOT NULL,
    name     text NOT NULL,
    ended    uuid NOT NULL,
    place    bigint NOT NULL,
    at       bigint NOT NULL,
    run      uuid,
    message  text,
    PRIMARY KEY (workflow, name, ended)
);
CREATE INDEX after_firings_at ON after_firings (at);

-- The vault. Values are sealed; name, version and rules are bound to what is sealed.
CREATE TABLE secrets (
    name        text COLLATE "C" PRIMARY KEY,
    version     bigint NOT NULL,
    key         text NOT NULL,
    sealed      bytea NOT NULL,
    hosts       text,
    workflows   text,
    description text,
    created_at  bigint NOT NULL,
    created_by  text NOT NULL,
    updated_at  bigint NOT NULL,
    updated_by  text NOT NULL
);
-- Counts the changes of the vault, so that other processes know of them.
CREATE TABLE secret_changes (
    one      bigint PRIMARY KEY CHECK (one = 1),
    revision bigint NOT NULL
);
INSERT INTO secret_changes (one, revision) VALUES (1, 0);

-- Files that were uploaded. What a run was given of them belongs to the run, and is no longer of interest here.
CREATE TABLE uploads (
    id         text COLLATE "C" PRIMARY KEY,
    owner      text NOT NULL,
    name       text NOT NULL,
    mime       text NOT NULL,
    size       bigint NOT NULL,
    sha256     text NOT NULL,
    note       text,
    created_at bigint NOT NULL
);
CREATE INDEX uploads_of ON uploads (owner, created_at, id);
CREATE INDEX uploads_age ON uploads (created_at);
-- Requests that may come again.
CREATE TABLE upload_keys (
    owner      text NOT NULL,
    key        text NOT NULL,
    body       text NOT NULL,
    ids        text NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (owner, key)
);
