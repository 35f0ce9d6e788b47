-- Whose order a dead letter is, so that its owner alone is told of it. Beside the payload, which a discard wipes.
ALTER TABLE dead_letters
    ADD COLUMN user_id VARCHAR(64) NULL COMMENT 'NULL: not one order';
