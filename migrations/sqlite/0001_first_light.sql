-- Times are milliseconds since 1970. Statements that read and write these tables are plain enough
-- for PostgreSQL as well; only the column types here differ.

CREATE TABLE sessions (
    id           TEXT PRIMARY KEY,           -- SHA-256 of the cookie's value, in hex
    data         TEXT NOT NULL,              -- JSON object
    created_at   BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL             -- the idle end, never later than the absolute end
);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE grants (
    session_id TEXT PRIMARY KEY REFERENCES sessions (id) ON DELETE CASCADE,
    sealed     BLOB NOT NULL,                -- tokens, encrypted
    version    BIGINT NOT NULL               -- compare-and-swap
);

CREATE TABLE conversations (
    id         TEXT PRIMARY KEY,
    owner      TEXT NOT NULL,                -- issuer and subject
    tenant     TEXT,
    title      TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX conversations_by_owner ON conversations (owner, updated_at);

CREATE TABLE messages (
    id              TEXT PRIMARY KEY,
    conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    position        BIGINT NOT NULL,
    role            TEXT NOT NULL,           -- user | assistant
    state           TEXT NOT NULL,           -- running | done | stopped | interrupted | failed
    text            TEXT NOT NULL,           -- Markdown source
    html            TEXT NOT NULL,           -- rendered once, block by block; empty for users
    problem         TEXT,                    -- why it failed, for people
    created_at      BIGINT NOT NULL,
    UNIQUE (conversation_id, position)
);

CREATE TABLE runs (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT NOT NULL UNIQUE,
    message_id  TEXT NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    owner       TEXT NOT NULL,
    request_id  TEXT NOT NULL,               -- the client's; the same one never runs twice
    state       TEXT NOT NULL,
    first_event BIGINT NOT NULL,             -- no event of this run lies before it
    started_at  BIGINT NOT NULL,
    ended_at    BIGINT,
    UNIQUE (owner, request_id)
);
CREATE INDEX runs_by_message ON runs (message_id);
CREATE INDEX runs_running ON runs (state) WHERE state = 'running';

-- Append-only, in order of arrival, with no index by run: an index would dirty one page per run in
-- every commit. Readers are served from memory; this table is for recovery.
CREATE TABLE run_events (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    run      BIGINT NOT NULL,                -- runs.number
    seq      BIGINT NOT NULL,
    event    TEXT NOT NULL                   -- JSON
);
