-- Texts that people write often, by the names that they call them with.
CREATE TABLE prompts (
    id         TEXT PRIMARY KEY,
    owner      TEXT NOT NULL,
    name       TEXT NOT NULL,
    text       TEXT NOT NULL,
    changed_at BIGINT NOT NULL,
    UNIQUE (owner, name)
);
