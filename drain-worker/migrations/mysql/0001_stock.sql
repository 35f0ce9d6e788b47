-- Stock and limits, seeded from the catalogue. The row of a SKU is the lock under which it is sold: one transaction at a
-- time decides about the SKU's stock and about every buyer's limit on it.
--
-- The collation is binary in all tables: sale "A" is not sale "a". utf8mb4_bin pads with spaces when it compares, which
-- has no effect here because names contain no spaces.
CREATE TABLE sale_skus (
    sale_id        VARCHAR(64) NOT NULL,
    sku            VARCHAR(64) NOT NULL,
    stock_total    INT         NOT NULL,
    stock_reserved INT         NOT NULL DEFAULT 0,
    per_user_limit INT         NULL COMMENT 'maximum units of one buyer over the whole sale; NULL: no limit',
    closes_at      DATETIME(3) NULL COMMENT 'UTC, end of the sale in the catalogue; its purchases are purged some time later',
    PRIMARY KEY (sale_id, sku),
    CONSTRAINT sale_skus_never_oversold CHECK (stock_reserved >= 0 AND stock_reserved <= stock_total),
    CONSTRAINT sale_skus_limit CHECK (per_user_limit > 0)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Units that a buyer has of a SKU with a limit. SKUs without a limit have no rows here.
CREATE TABLE user_purchases (
    sale_id  VARCHAR(64)  NOT NULL,
    user_id  VARCHAR(255) NOT NULL,
    sku      VARCHAR(64)  NOT NULL,
    quantity INT          NOT NULL,
    PRIMARY KEY (sale_id, user_id, sku),
    CONSTRAINT user_purchases_quantity CHECK (quantity > 0)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
