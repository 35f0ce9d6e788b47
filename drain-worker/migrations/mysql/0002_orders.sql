-- One row per decided order, in the order of arrival: a batch fills the last page and touches no other page of rows.
-- The unique key makes a redelivery change nothing; it and the buyers' key are the only random writes.
--
-- There are no foreign keys: one program writes an order and everything that depends on it, in one transaction. An
-- order's lines are in its row, because nothing writes or reads them apart.
CREATE TABLE orders (
    sequence           BIGINT       NOT NULL AUTO_INCREMENT COMMENT 'order of arrival, with gaps',
    order_id           BINARY(16)   NOT NULL,
    sale_id            VARCHAR(64)  NOT NULL,
    user_id            VARCHAR(255) NOT NULL COMMENT 'visible ASCII',
    payload_digest     BINARY(32)   NOT NULL COMMENT 'SHA-256 of the canonical payload',
    state              TINYINT      NOT NULL COMMENT '1 confirmed, 2 rejected',
    reason             TINYINT      NULL COMMENT 'of a rejection: 1 sold out, 2 limit exceeded',
    rejected_line      TINYINT      NULL COMMENT 'of a rejection: the first line that did not fit, by its place among the SKUs of items in ascending order, from 0',
    currency           CHAR(3)      CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    total_minor        BIGINT       NOT NULL COMMENT 'minor units of the currency',
    items              TEXT         NOT NULL COMMENT 'JSON: {"SKU": [quantity, unit price in minor units], ...}',
    shipping_address   TEXT         NULL COMMENT 'lines: recipient, line 1, line 2, city, region, postal code, country, phone; an absent one is empty; personal data; NULL: rejected or purged',
    client_reference   VARCHAR(128) NULL,
    catalogue_revision VARCHAR(64)  NOT NULL,
    traceparent        BINARY(25)   NULL COMMENT 'W3C trace context of the request: trace id, parent id, flags',
    accepted_at        DATETIME(3)  NOT NULL COMMENT 'UTC, the clock of the ingest function',
    decided_at         DATETIME(6)  NOT NULL COMMENT 'UTC, the clock of this database',
    PRIMARY KEY (sequence),
    UNIQUE KEY orders_order_id (order_id),
    KEY orders_buyer (user_id, sequence),
    CONSTRAINT orders_state CHECK (state IN (1, 2)),
    CONSTRAINT orders_reason CHECK ((state = 2) = (reason IS NOT NULL)),
    CONSTRAINT orders_reason_known CHECK (reason IN (1, 2)),
    CONSTRAINT orders_rejected_line CHECK (state = 2 OR rejected_line IS NULL),
    CONSTRAINT orders_address CHECK (state = 1 OR shipping_address IS NULL)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Other payloads that arrived under the id of a decided order: a client used an idempotency key for two payloads.
CREATE TABLE order_conflicts (
    order_id       BINARY(16)  NOT NULL,
    payload_digest BINARY(32)  NOT NULL,
    first_seen_at  DATETIME(6) NOT NULL COMMENT 'UTC, the clock of this database',
    PRIMARY KEY (order_id, payload_digest)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
