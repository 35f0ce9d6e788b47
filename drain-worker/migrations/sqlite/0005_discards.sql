-- As migrations/mysql/0005_discards.sql, which has the comments.
ALTER TABLE dead_letters ADD COLUMN discarded_at TEXT NULL;
ALTER TABLE dead_letters ADD COLUMN discarded_by TEXT NULL;
ALTER TABLE dead_letters ADD COLUMN discarded_why TEXT NULL;

CREATE INDEX dead_letters_open ON dead_letters (discarded_at, reason);
