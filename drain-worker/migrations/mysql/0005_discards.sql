-- A dead letter that an operator gave up keeps its row, without its payload: whoever asks for the order is told what
-- became of it, and a redelivery finds it settled.
ALTER TABLE dead_letters
    ADD COLUMN discarded_at  DATETIME(6)  NULL COMMENT 'UTC, the clock of this database; NULL: still needs somebody',
    ADD COLUMN discarded_by  VARCHAR(64)  NULL COMMENT 'as the caller says',
    ADD COLUMN discarded_why VARCHAR(200) NULL,
    -- Pages and counts by reason, without touching the payloads. The primary key is its last part by itself.
    ADD KEY dead_letters_open (discarded_at, reason);
