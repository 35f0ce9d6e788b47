-- As migrations/mysql/0006_letter_owner.sql, which has the comments.
ALTER TABLE dead_letters ADD COLUMN user_id TEXT NULL;
