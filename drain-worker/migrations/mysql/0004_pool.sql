-- The pool: what operators set, which workers live, and what each may commit. `_us` is microseconds since 1970, by this
-- database's clock, which is the only clock that leases know.

-- One row a consumer group. Whoever re-splits the cap holds it, so that shares are given out by one worker at a time.
CREATE TABLE drain_groups (
    group_id VARCHAR(64) NOT NULL COMMENT 'the consumer group',
    revision BIGINT      NOT NULL COMMENT 'counts changes of the settings',
    settings TEXT        NOT NULL COMMENT 'JSON: default, manual, pause, schedule',
    PRIMARY KEY (group_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- One row a worker that lives, or did a moment ago. The shares of a group's rows never add up to more than its cap.
CREATE TABLE drain_leases (
    group_id   VARCHAR(64)  NOT NULL,
    lease_id   VARCHAR(32)  NOT NULL,
    worker     VARCHAR(128) NOT NULL COMMENT 'host and process, for people',
    share      INT          NOT NULL COMMENT 'orders a second: at least what the worker has granted and not got back',
    wanted     INT          NOT NULL COMMENT 'orders a second that it could use',
    joined_us  BIGINT       NOT NULL,
    expires_us BIGINT       NOT NULL COMMENT 'from then on it cannot commit',
    fenced_us  BIGINT       NULL     COMMENT 'since then its fence is gone; its share is free one second later',
    report     TEXT         NOT NULL COMMENT 'JSON: what the worker tells about itself',
    PRIMARY KEY (lease_id),
    KEY drain_leases_group (group_id, lease_id),
    CONSTRAINT drain_leases_share CHECK (share >= 0 AND wanted >= 0)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- One row a lease that may commit. Every transaction that writes orders holds a shared lock on its worker's row;
-- removing the row therefore waits for those under way, and none begins after. Heartbeats do not touch this table, so
-- they never wait for a transaction, nor make one wait.
CREATE TABLE drain_fences (
    lease_id VARCHAR(32) NOT NULL,
    PRIMARY KEY (lease_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What operators did, and why.
CREATE TABLE drain_audit (
    id       BIGINT       NOT NULL AUTO_INCREMENT,
    group_id VARCHAR(64)  NOT NULL,
    at       DATETIME(6)  NOT NULL COMMENT 'UTC, the clock of this database',
    who      VARCHAR(64)  NOT NULL COMMENT 'as the caller says',
    action   VARCHAR(32)  NOT NULL,
    detail   VARCHAR(500) NOT NULL,
    why      VARCHAR(200) NOT NULL,
    PRIMARY KEY (id),
    KEY drain_audit_group (group_id, id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
