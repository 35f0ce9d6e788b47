-- As migrations/mysql/0004_pool.sql, which has the comments.
CREATE TABLE drain_groups (
    group_id TEXT    NOT NULL PRIMARY KEY,
    revision INTEGER NOT NULL,
    settings TEXT    NOT NULL,
    version  INTEGER NOT NULL
) STRICT;

CREATE TABLE drain_leases (
    group_id   TEXT    NOT NULL,
    lease_id   TEXT    NOT NULL PRIMARY KEY,
    worker     TEXT    NOT NULL,
    share      INTEGER NOT NULL CHECK (share >= 0),
    wanted     INTEGER NOT NULL CHECK (wanted >= 0),
    changes    INTEGER NOT NULL,
    joined_us  INTEGER NOT NULL,
    expires_us INTEGER NOT NULL,
    fenced_us  INTEGER NULL,
    report     TEXT    NOT NULL
) STRICT;

CREATE INDEX drain_leases_group ON drain_leases (group_id, lease_id);

CREATE TABLE drain_fences (
    lease_id TEXT NOT NULL PRIMARY KEY
) STRICT;

CREATE TABLE drain_audit (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    group_id TEXT    NOT NULL,
    at       TEXT    NOT NULL,
    actor    TEXT    NOT NULL,
    who      TEXT    NOT NULL,
    action   TEXT    NOT NULL,
    detail   TEXT    NOT NULL,
    reason   TEXT    NOT NULL,
    revision INTEGER NULL,
    value_before TEXT NULL,
    value_after  TEXT NULL
) STRICT;

CREATE INDEX drain_audit_group ON drain_audit (group_id, id);
