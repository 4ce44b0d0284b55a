-- What people want done to records of backends: kept here until it is done, so that it can be taken
-- back before, and is not lost with the page that asked for it.
CREATE TABLE changes (
    id         TEXT PRIMARY KEY,
    owner      TEXT NOT NULL,
    tenant     TEXT NOT NULL,                -- empty for none
    session    TEXT NOT NULL,                -- whose credentials it is done with
    resource   TEXT NOT NULL,                -- `<group>.<name>`
    record     TEXT NOT NULL,                -- its id; empty for one that is to be made
    title      TEXT NOT NULL,                -- what people call the record
    action     TEXT NOT NULL,                -- create, update, delete
    fields     TEXT NOT NULL,                -- the new values, as JSON
    opened     TEXT NOT NULL,                -- the values they were to replace, as JSON
    state      TEXT NOT NULL,                -- pending, running; refused, conflict, held; done, dropped
    outcome    TEXT NOT NULL DEFAULT '{}',   -- why it was not done, or what it came to, as JSON
    due_at     BIGINT NOT NULL,              -- when it is done, or taken up again if it was interrupted
    created_at BIGINT NOT NULL
);
CREATE INDEX changes_due ON changes (due_at) WHERE state IN ('pending', 'running');
CREATE INDEX changes_open ON changes (owner, tenant, resource)
    WHERE state NOT IN ('done', 'dropped');
CREATE INDEX changes_over ON changes (created_at) WHERE state IN ('done', 'dropped');

-- What was done to records of backends through this server.
CREATE TABLE audit_log (
    id       TEXT PRIMARY KEY,
    at       BIGINT NOT NULL,
    tenant   TEXT NOT NULL,                  -- empty for none
    owner    TEXT NOT NULL,
    person   TEXT NOT NULL,                  -- what to call them
    resource TEXT NOT NULL,                  -- `<group>.<name>`
    record   TEXT NOT NULL,
    title    TEXT NOT NULL,
    action   TEXT NOT NULL,
    was      TEXT NOT NULL,                  -- the values that were replaced, as JSON
    is_now   TEXT NOT NULL                   -- the values they were replaced by, as JSON
);
CREATE INDEX audit_log_of_record ON audit_log (resource, record, tenant, at);
CREATE INDEX audit_log_by_time ON audit_log (at);
