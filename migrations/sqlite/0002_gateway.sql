-- Rights that one process holds for a while, so that others leave the work to it: one token refresh
-- per grant, one run of a job.
CREATE TABLE leases (
    name    TEXT PRIMARY KEY,
    holder  TEXT NOT NULL,                   -- random, of whoever took it last
    ends_at BIGINT NOT NULL
);

-- Whose session it is, so that people can see and end their own and a provider can end it too.
ALTER TABLE sessions ADD COLUMN issuer TEXT;
ALTER TABLE sessions ADD COLUMN subject TEXT;
ALTER TABLE sessions ADD COLUMN provider_session TEXT; -- the ID token's `sid`
ALTER TABLE sessions ADD COLUMN device TEXT;           -- the browser, as it calls itself
CREATE INDEX sessions_by_person ON sessions (issuer, subject);

-- Logout tokens that were used, until they end (OpenID Connect Back-Channel Logout §2.6).
CREATE TABLE logout_tokens (
    issuer  TEXT NOT NULL,
    jti     TEXT NOT NULL,
    ends_at BIGINT NOT NULL,
    PRIMARY KEY (issuer, jti)
);
