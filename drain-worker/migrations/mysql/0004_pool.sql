-- The pool: operators' settings, live workers and their shares. `_us` is microseconds since 1970 by this database's
-- clock.

-- One row per consumer group.
CREATE TABLE drain_groups (
    group_id VARCHAR(64) NOT NULL COMMENT 'the consumer group',
    revision BIGINT      NOT NULL COMMENT 'number of settings changes',
    settings TEXT        NOT NULL COMMENT 'JSON: default, manual, holds, schedule, ceiling',
    version  BIGINT      NOT NULL COMMENT 'a new random number with each raise of a share',
    PRIMARY KEY (group_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- One row per worker that is live or expired recently, written by that worker. The shares of a group's rows never exceed
-- its cap in sum: a share is raised only together with the group's version, if that is still the one that was read.
CREATE TABLE drain_leases (
    group_id   VARCHAR(64)  NOT NULL,
    lease_id   VARCHAR(32)  NOT NULL,
    worker     VARCHAR(128) NOT NULL COMMENT 'host and process, for display',
    share      INT          NOT NULL COMMENT 'orders a second: at least the credits that the worker has outstanding',
    wanted     INT          NOT NULL COMMENT 'orders a second that the worker could use',
    changes    BIGINT       NOT NULL COMMENT 'number of changes of share and wanted',
    joined_us  BIGINT       NOT NULL,
    expires_us BIGINT       NOT NULL COMMENT 'the worker cannot commit from then on, unless it renews the lease first',
    fenced_us  BIGINT       NULL     COMMENT 'its fence was removed then; its share is free one second later',
    report     TEXT         NOT NULL COMMENT 'JSON: the worker''s own report',
    PRIMARY KEY (lease_id),
    KEY drain_leases_group (group_id, lease_id),
    CONSTRAINT drain_leases_share CHECK (share >= 0 AND wanted >= 0)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- One row per lease that may commit. Every transaction that writes orders holds a shared lock on its worker's row, so
-- removing the row waits for transactions in flight, and none begins after. A table of its own, so that no heartbeat waits
-- for a transaction.
CREATE TABLE drain_fences (
    lease_id VARCHAR(32) NOT NULL,
    PRIMARY KEY (lease_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Operators' actions, a row an act. A change of the settings has its revision.
CREATE TABLE drain_audit (
    id       BIGINT       NOT NULL AUTO_INCREMENT,
    group_id VARCHAR(64)  NOT NULL,
    at       DATETIME(6)  NOT NULL COMMENT 'UTC, the clock of this database',
    actor    VARCHAR(32)  NOT NULL COMMENT 'the name of the caller''s token',
    who      VARCHAR(64)  NOT NULL COMMENT 'as the caller states',
    action   VARCHAR(32)  NOT NULL,
    detail   VARCHAR(500) NOT NULL,
    reason   VARCHAR(200) NOT NULL COMMENT 'as the caller states',
    revision BIGINT       NULL     COMMENT 'of the settings, which the act made',
    value_before TEXT     NULL     COMMENT 'JSON: what the act replaced',
    value_after  TEXT     NULL     COMMENT 'JSON: what it left',
    PRIMARY KEY (id),
    KEY drain_audit_group (group_id, id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
