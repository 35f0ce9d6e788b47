-- As migrations/mysql/0003_dead_letters.sql, which has the comments.
CREATE TABLE dead_letters (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    dedup_key        BLOB    NOT NULL UNIQUE,
    order_id         BLOB    NULL,
    payload_digest   BLOB    NULL,
    user_id          TEXT    NULL,
    message_id       TEXT    NULL,
    reason           TEXT    NOT NULL,
    detail           TEXT    NOT NULL,
    payload          BLOB    NOT NULL,
    attempts         INTEGER NOT NULL DEFAULT 1,
    first_failed_at  TEXT    NOT NULL,
    last_failed_at   TEXT    NOT NULL,
    discarded_at     TEXT    NULL,
    discarded_by     TEXT    NULL,
    discarded_reason TEXT    NULL,
    restorable_until_us INTEGER NULL
) STRICT;

CREATE INDEX dead_letters_order_id ON dead_letters (order_id);
CREATE INDEX dead_letters_buyer ON dead_letters (user_id);
CREATE INDEX dead_letters_open ON dead_letters (discarded_at, reason);
CREATE INDEX dead_letters_restorable ON dead_letters (restorable_until_us);

CREATE TABLE dead_letter_changes (
    id      INTEGER NOT NULL PRIMARY KEY,
    changes INTEGER NOT NULL
) STRICT;

INSERT INTO dead_letter_changes (id, changes) VALUES (1, 0);
