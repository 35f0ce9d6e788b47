-- Orders and messages that cannot be decided. A row is deleted when its order gets an outcome; a discarded one stays,
-- so that its order still has a state and a redelivery finds it settled. Its payload is deleted a while after the discard, which
-- can be undone until then.
CREATE TABLE dead_letters (
    id               BIGINT         NOT NULL AUTO_INCREMENT,
    dedup_key        VARBINARY(49)  NOT NULL COMMENT 'order id and digest, or digest of the message id: a redelivery finds its row',
    order_id         BINARY(16)     NULL COMMENT 'NULL: the message could not be read as orders',
    payload_digest   BINARY(32)     NULL,
    user_id          VARCHAR(255)   NULL COMMENT 'the buyer, who alone may look it up; NULL: not one order',
    message_id       VARCHAR(128)   NULL,
    reason           VARCHAR(32)    NOT NULL,
    detail           VARCHAR(500)   NOT NULL COMMENT 'for operators; without personal data',
    payload          MEDIUMBLOB     NOT NULL COMMENT 'a message body that can be redriven; personal data; empty some time after the discard',
    attempts         INT            NOT NULL DEFAULT 1 COMMENT 'number of failures',
    first_failed_at  DATETIME(6)    NOT NULL COMMENT 'UTC, the clock of this database',
    last_failed_at   DATETIME(6)    NOT NULL COMMENT 'UTC, the clock of this database',
    discarded_at     DATETIME(6)    NULL COMMENT 'UTC, the clock of this database; NULL: open',
    discarded_by     VARCHAR(64)    NULL COMMENT 'as the caller states',
    discarded_reason VARCHAR(200)   NULL COMMENT 'as the caller states',
    restorable_until_us BIGINT      NULL COMMENT 'until then the discard can be undone, microseconds since 1970; NULL: open, or the payload is deleted',
    PRIMARY KEY (id),
    UNIQUE KEY dead_letters_dedup_key (dedup_key),
    KEY dead_letters_order_id (order_id),
    KEY dead_letters_buyer (user_id),
    -- Pages and counts by reason, without reading payloads. InnoDB appends the primary key.
    KEY dead_letters_open (discarded_at, reason),
    KEY dead_letters_restorable (restorable_until_us)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- One row: a number that every transaction that stores letters raises. Each commit reads it; dead_letters is read only by a
-- worker that finds the number changed, and by batches with such an order.
CREATE TABLE dead_letter_changes (
    id      TINYINT NOT NULL,
    changes BIGINT  NOT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT INTO dead_letter_changes (id, changes) VALUES (1, 0);
