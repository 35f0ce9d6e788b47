-- As migrations/mysql/0001_stock.sql, which has the comments.
CREATE TABLE sale_skus (
    sale_id        TEXT    NOT NULL,
    sku            TEXT    NOT NULL,
    stock_total    INTEGER NOT NULL,
    stock_reserved INTEGER NOT NULL DEFAULT 0,
    per_user_limit INTEGER NULL,
    closes_at      TEXT    NULL,
    PRIMARY KEY (sale_id, sku),
    CONSTRAINT sale_skus_never_oversold CHECK (stock_reserved >= 0 AND stock_reserved <= stock_total),
    CONSTRAINT sale_skus_limit CHECK (per_user_limit > 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE user_purchases (
    sale_id  TEXT    NOT NULL,
    user_id  TEXT    NOT NULL,
    sku      TEXT    NOT NULL,
    quantity INTEGER NOT NULL,
    PRIMARY KEY (sale_id, user_id, sku),
    CONSTRAINT user_purchases_quantity CHECK (quantity > 0)
) STRICT, WITHOUT ROWID;
