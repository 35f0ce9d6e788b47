-- As migrations/mysql/0002_orders.sql, which has the comments. Times are text, UTC: 2026-11-11 00:00:00.123.
CREATE TABLE orders (
    sequence           INTEGER PRIMARY KEY AUTOINCREMENT,
    order_id           BLOB    NOT NULL UNIQUE,
    sale_id            TEXT    NOT NULL,
    user_id            TEXT    NOT NULL,
    payload_digest     BLOB    NOT NULL,
    state              INTEGER NOT NULL,
    reason             INTEGER NULL,
    rejected_line      INTEGER NULL,
    currency           TEXT    NOT NULL,
    total_minor        INTEGER NOT NULL,
    items              TEXT    NOT NULL,
    shipping_address   TEXT    NULL,
    client_reference   TEXT    NULL,
    catalogue_revision TEXT    NOT NULL,
    traceparent        BLOB    NULL,
    accepted_at        TEXT    NOT NULL,
    decided_at         TEXT    NOT NULL,
    CONSTRAINT orders_state CHECK (state IN (1, 2)),
    CONSTRAINT orders_reason CHECK ((state = 2) = (reason IS NOT NULL)),
    CONSTRAINT orders_reason_known CHECK (reason IN (1, 2)),
    CONSTRAINT orders_rejected_line CHECK (state = 2 OR rejected_line IS NULL),
    CONSTRAINT orders_address CHECK (state = 1 OR shipping_address IS NULL)
) STRICT;

CREATE INDEX orders_buyer ON orders (user_id, sequence);

CREATE TABLE order_conflicts (
    order_id       BLOB NOT NULL,
    payload_digest BLOB NOT NULL,
    first_seen_at  TEXT NOT NULL,
    PRIMARY KEY (order_id, payload_digest)
) STRICT, WITHOUT ROWID;
