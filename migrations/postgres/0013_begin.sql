-- PostgreSQL begins where SQLite stood at its migration 13, whose files say what the columns hold.
-- From here on, every change of tables has a file of the same number for both. Times are milliseconds
-- since 1970.

CREATE TABLE sessions (
    id               TEXT PRIMARY KEY,
    data             TEXT NOT NULL,
    created_at       BIGINT NOT NULL,
    last_seen_at     BIGINT NOT NULL,
    expires_at       BIGINT NOT NULL,
    issuer           TEXT,
    subject          TEXT,
    provider_session TEXT,
    device           TEXT
);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE INDEX sessions_by_person ON sessions (issuer, subject);

CREATE TABLE grants (
    session_id TEXT PRIMARY KEY REFERENCES sessions (id) ON DELETE CASCADE,
    sealed     BYTEA NOT NULL,
    version    BIGINT NOT NULL
);

CREATE TABLE logout_tokens (
    issuer  TEXT NOT NULL,
    jti     TEXT NOT NULL,
    ends_at BIGINT NOT NULL,
    PRIMARY KEY (issuer, jti)
);

CREATE TABLE leases (
    name    TEXT PRIMARY KEY,
    holder  TEXT NOT NULL,
    ends_at BIGINT NOT NULL
);

CREATE TABLE conversations (
    id         TEXT PRIMARY KEY,
    owner      TEXT NOT NULL,
    tenant     TEXT,
    title      TEXT NOT NULL,
    title_by   TEXT NOT NULL DEFAULT 'text',
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    tip_id     TEXT,
    revision   BIGINT NOT NULL DEFAULT 0,
    pinned_at  BIGINT,
    deleted_at BIGINT,
    expires_at BIGINT,
    replied_at BIGINT NOT NULL DEFAULT 0,
    read_at    BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX conversations_by_owner ON conversations (owner, updated_at);
CREATE INDEX conversations_deleted ON conversations (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX conversations_expiring ON conversations (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE conversation_names (
    owner           TEXT NOT NULL,
    name            TEXT NOT NULL,
    conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    PRIMARY KEY (owner, name)
);
CREATE INDEX conversation_names_by_conversation ON conversation_names (conversation_id);

CREATE TABLE messages (
    id              TEXT PRIMARY KEY,
    conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    parent_id       TEXT REFERENCES messages (id),
    position        BIGINT NOT NULL,
    revision        BIGINT NOT NULL DEFAULT 0,
    role            TEXT NOT NULL,
    state           TEXT NOT NULL,
    assistant       TEXT,
    text            TEXT NOT NULL,
    html            TEXT NOT NULL,
    is_html         BIGINT NOT NULL DEFAULT 0,
    reasoning       TEXT NOT NULL DEFAULT '',
    reasoning_ms    BIGINT,
    input_tokens    BIGINT,
    output_tokens   BIGINT,
    problem         TEXT,
    status          BIGINT,
    retry_at        BIGINT,
    created_at      BIGINT NOT NULL,
    finished_at     BIGINT,
    rating          BIGINT,
    rating_note     TEXT,
    indexed         BIGINT NOT NULL DEFAULT 0,
    UNIQUE (conversation_id, position)
);
CREATE INDEX messages_by_parent ON messages (parent_id);
CREATE INDEX messages_beside ON messages (conversation_id, parent_id, role, position);
CREATE INDEX messages_to_index ON messages (id) WHERE indexed = 0 AND state <> 'running';

CREATE TABLE runs (
    number      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    message_id  TEXT NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    owner       TEXT NOT NULL,
    request_id  TEXT NOT NULL,
    state       TEXT NOT NULL,
    first_event BIGINT NOT NULL,
    started_at  BIGINT NOT NULL,
    ended_at    BIGINT,
    UNIQUE (owner, request_id)
);
CREATE INDEX runs_by_message ON runs (message_id);
CREATE INDEX runs_running ON runs (state) WHERE state = 'running';

CREATE TABLE run_events (
    position BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run      BIGINT NOT NULL,
    seq      BIGINT NOT NULL,
    event    TEXT NOT NULL
);

CREATE TABLE deliveries (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    channel     TEXT NOT NULL,
    delivery    TEXT NOT NULL,
    thread      TEXT NOT NULL,
    text        TEXT NOT NULL,
    answer      TEXT,
    state       TEXT NOT NULL,
    attempts    BIGINT NOT NULL DEFAULT 0,
    pieces      BIGINT NOT NULL DEFAULT 0,
    due_at      BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    UNIQUE (channel, delivery)
);
CREATE INDEX deliveries_due ON deliveries (due_at) WHERE state IN ('received', 'answered');

CREATE TABLE channel_threads (
    channel         TEXT NOT NULL,
    thread          TEXT NOT NULL,
    conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    PRIMARY KEY (channel, thread)
);

CREATE TABLE shares (
    id              TEXT PRIMARY KEY,
    conversation_id TEXT NOT NULL UNIQUE REFERENCES conversations (id) ON DELETE CASCADE,
    tip_id          TEXT NOT NULL,
    created_at      BIGINT NOT NULL
);

CREATE TABLE files (
    id         TEXT PRIMARY KEY,
    owner      TEXT NOT NULL,
    message_id TEXT REFERENCES messages (id) ON DELETE CASCADE,
    place      BIGINT NOT NULL DEFAULT 0,
    name       TEXT NOT NULL,
    kind       TEXT NOT NULL,
    size       BIGINT NOT NULL,
    given_to   TEXT,
    given_as   TEXT,
    created_at BIGINT NOT NULL
);
CREATE INDEX files_by_message ON files (message_id, place);
CREATE INDEX files_by_owner ON files (owner);
CREATE INDEX files_unsent ON files (created_at) WHERE message_id IS NULL;

CREATE TABLE prompts (
    id         TEXT PRIMARY KEY,
    owner      TEXT NOT NULL,
    name       TEXT NOT NULL,
    text       TEXT NOT NULL,
    changed_at BIGINT NOT NULL,
    UNIQUE (owner, name)
);

-- What people look for. Words count as they are written, in whatever language, but for accents. What
-- would make one of several, such as an address or a tag, is taken out.
CREATE EXTENSION IF NOT EXISTS unaccent SCHEMA public;
CREATE TEXT SEARCH CONFIGURATION breezeway (COPY = simple);
ALTER TEXT SEARCH CONFIGURATION breezeway
    ALTER MAPPING FOR word, numword WITH unaccent, simple;

CREATE TABLE search_rows (
    id              BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    who             TEXT NOT NULL,           -- as SQLite's index needs it
    conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    message_id      TEXT,
    body            TEXT NOT NULL,
    words           TSVECTOR GENERATED ALWAYS AS (to_tsvector('breezeway',
        translate(left(body, 200000), '<>&/\.:@_+~-', '            '))) STORED
);
CREATE INDEX search_rows_by_message ON search_rows (conversation_id, message_id);
CREATE INDEX search_rows_by_who ON search_rows (who);
CREATE INDEX search_rows_by_word ON search_rows USING gin (words);

CREATE FUNCTION index_title() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF tg_op = 'UPDATE' THEN
        UPDATE search_rows SET body = new.title
        WHERE conversation_id = new.id AND message_id IS NULL;
    ELSIF new.expires_at IS NULL THEN
        INSERT INTO search_rows (who, conversation_id, body)
        VALUES ('o' || encode(convert_to(new.owner, 'UTF8'), 'hex'), new.id, new.title);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER conversation_entitled AFTER INSERT OR UPDATE OF title ON conversations
    FOR EACH ROW EXECUTE FUNCTION index_title();
