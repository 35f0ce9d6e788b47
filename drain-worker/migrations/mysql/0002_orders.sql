-- One row per decided order. The primary key makes a redelivery change nothing.
--
-- There are no foreign keys and no secondary indexes: an order and its lines are written in one transaction by one
-- program, and each index costs every order of a burst.
CREATE TABLE orders (
    order_id           BINARY(16)   NOT NULL,
    sale_id            VARCHAR(64)  NOT NULL,
    user_id            VARCHAR(64)  NOT NULL,
    payload_digest     BINARY(32)   NOT NULL COMMENT 'SHA-256 of the canonical payload',
    state              VARCHAR(16)  NOT NULL COMMENT 'confirmed or rejected',
    reason             VARCHAR(32)  NULL COMMENT 'of a rejection: sold_out or limit_exceeded',
    currency           CHAR(3)      NOT NULL,
    total_minor        BIGINT       NOT NULL COMMENT 'minor units of the currency',
    shipping_address   TEXT         NOT NULL COMMENT 'JSON; personal data',
    client_reference   VARCHAR(128) NULL,
    catalogue_revision VARCHAR(64)  NOT NULL,
    traceparent        VARCHAR(55)  NULL COMMENT 'W3C trace context of the request',
    accepted_at        DATETIME(3)  NOT NULL COMMENT 'UTC, the clock of the ingest function',
    decided_at         DATETIME(6)  NOT NULL COMMENT 'UTC, the clock of this database',
    PRIMARY KEY (order_id),
    CONSTRAINT orders_state CHECK (state IN ('confirmed', 'rejected')),
    CONSTRAINT orders_reason CHECK ((state = 'rejected') = (reason IS NOT NULL))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The lines of every decided order, rejected ones included: requested quantities and prices.
CREATE TABLE order_items (
    order_id         BINARY(16)  NOT NULL,
    sku              VARCHAR(64) NOT NULL,
    quantity         INT         NOT NULL,
    unit_price_minor BIGINT      NOT NULL,
    PRIMARY KEY (order_id, sku),
    CONSTRAINT order_items_quantity CHECK (quantity > 0)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Other payloads that arrived under the id of a decided order: a client used an idempotency key for two payloads.
CREATE TABLE order_conflicts (
    order_id       BINARY(16)  NOT NULL,
    payload_digest BINARY(32)  NOT NULL,
    first_seen_at  DATETIME(6) NOT NULL COMMENT 'UTC, the clock of this database',
    PRIMARY KEY (order_id, payload_digest)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
