-- Lists as people like to have them: what stands in the address, under a name.
CREATE TABLE views (
    id         TEXT PRIMARY KEY,
    owner      TEXT NOT NULL,
    tenant     TEXT NOT NULL,                -- empty for none
    resource   TEXT NOT NULL,                -- `<group>.<name>`
    name       TEXT NOT NULL,
    query      TEXT NOT NULL,                -- as in the address
    is_shared  BIGINT NOT NULL,              -- whether everybody of the tenant sees it
    created_at BIGINT NOT NULL
);
CREATE INDEX views_of_resource ON views (resource, tenant, owner);

-- Resources that people have put on their first page.
CREATE TABLE pins (
    owner    TEXT NOT NULL,
    resource TEXT NOT NULL,
    place    BIGINT NOT NULL,
    PRIMARY KEY (owner, resource)
);
