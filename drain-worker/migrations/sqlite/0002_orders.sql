-- As migrations/mysql/0002_orders.sql, which has the comments. Times are text, UTC: 2026-11-11 00:00:00.123.
CREATE TABLE orders (
    order_id           BLOB    NOT NULL PRIMARY KEY,
    sale_id            TEXT    NOT NULL,
    user_id            TEXT    NOT NULL,
    payload_digest     BLOB    NOT NULL,
    state              TEXT    NOT NULL,
    reason             TEXT    NULL,
    currency           TEXT    NOT NULL,
    total_minor        INTEGER NOT NULL,
    shipping_address   TEXT    NOT NULL,
    client_reference   TEXT    NULL,
    catalogue_revision TEXT    NOT NULL,
    traceparent        TEXT    NULL,
    accepted_at        TEXT    NOT NULL,
    decided_at         TEXT    NOT NULL,
    CONSTRAINT orders_state CHECK (state IN ('confirmed', 'rejected')),
    CONSTRAINT orders_reason CHECK ((state = 'rejected') = (reason IS NOT NULL))
) STRICT;

CREATE TABLE order_items (
    order_id         BLOB    NOT NULL,
    sku              TEXT    NOT NULL,
    quantity         INTEGER NOT NULL,
    unit_price_minor INTEGER NOT NULL,
    PRIMARY KEY (order_id, sku),
    CONSTRAINT order_items_quantity CHECK (quantity > 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE order_conflicts (
    order_id       BLOB NOT NULL,
    payload_digest BLOB NOT NULL,
    first_seen_at  TEXT NOT NULL,
    PRIMARY KEY (order_id, payload_digest)
) STRICT, WITHOUT ROWID;
