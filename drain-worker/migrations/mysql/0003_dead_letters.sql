-- Orders and messages that cannot be decided. A row goes when its order gets an outcome after all, or when an
-- operator removes it: what is here is what still needs somebody.
CREATE TABLE dead_letters (
    id              BIGINT         NOT NULL AUTO_INCREMENT,
    dedup_key       VARBINARY(160) NOT NULL COMMENT 'order id and digest, or message id: a redelivery finds its row',
    order_id        BINARY(16)     NULL COMMENT 'NULL: the message could not be read as orders',
    payload_digest  BINARY(32)     NULL,
    message_id      VARCHAR(128)   NULL,
    reason          VARCHAR(32)    NOT NULL,
    detail          VARCHAR(500)   NOT NULL COMMENT 'for people; without personal data',
    payload         MEDIUMBLOB     NOT NULL COMMENT 'a message body that can be sent again; personal data',
    attempts        INT            NOT NULL DEFAULT 1 COMMENT 'how often it came here',
    first_failed_at DATETIME(6)    NOT NULL COMMENT 'UTC, the clock of this database',
    last_failed_at  DATETIME(6)    NOT NULL COMMENT 'UTC, the clock of this database',
    PRIMARY KEY (id),
    UNIQUE KEY dead_letters_dedup_key (dedup_key),
    KEY dead_letters_order_id (order_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
