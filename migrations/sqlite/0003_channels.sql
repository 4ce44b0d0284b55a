-- Messages that came in by a webhook, from their arrival until the reply is delivered.
CREATE TABLE deliveries (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    channel     TEXT NOT NULL,
    delivery    TEXT NOT NULL,               -- the sender's own name for it; the same one counts once
    thread      TEXT NOT NULL,               -- where it was said, as the channel names it
    text        TEXT NOT NULL,
    answer      TEXT,                        -- the reply, once it is written
    state       TEXT NOT NULL,               -- received | answered | delivered | failed
    attempts    BIGINT NOT NULL DEFAULT 0,   -- at the step that comes next
    due_at      BIGINT NOT NULL,             -- when to go on; moved ahead while somebody is at it
    received_at BIGINT NOT NULL,
    UNIQUE (channel, delivery)
);
CREATE INDEX deliveries_due ON deliveries (due_at) WHERE state IN ('received', 'answered');

-- Which conversation of ours a channel's thread is.
CREATE TABLE channel_threads (
    channel         TEXT NOT NULL,
    thread          TEXT NOT NULL,
    conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    PRIMARY KEY (channel, thread)
);
