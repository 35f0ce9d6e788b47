//! The baseline: the same orders without decisions.
//!
//! The yardstick is two tables whose clustered keys begin with the random order id, an order's lines in the second. They
//! were the drain's own first layout, and stay here so that figures of different versions compare. Two variants: the
//! binary protocol (prepared once, values bound) and the text protocol (values in the statement); the drain is compared
//! with the faster one. A third variant inserts into the drain's own table.

use std::fmt::Write;

use anyhow::Context;
use shared::order::AcceptedOrder;
use sqlx::mysql::{MySqlArguments, MySqlConnection};
use sqlx::{Arguments, AssertSqlSafe, MySql};

/// Creates the yardstick's tables.
pub(super) const YARDSTICK: &str = "CREATE TABLE yardstick_orders (order_id BINARY(16) NOT NULL, sale_id VARCHAR(64) NOT NULL, \
     user_id VARCHAR(64) NOT NULL, payload_digest BINARY(32) NOT NULL, state VARCHAR(16) NOT NULL, reason VARCHAR(32) NULL, \
     currency CHAR(3) NOT NULL, total_minor BIGINT NOT NULL, shipping_address TEXT NOT NULL, client_reference VARCHAR(128) NULL, \
     catalogue_revision VARCHAR(64) NOT NULL, traceparent VARCHAR(55) NULL, accepted_at DATETIME(3) NOT NULL, \
     decided_at DATETIME(6) NOT NULL, PRIMARY KEY (order_id), \
     CONSTRAINT yardstick_state CHECK (state IN ('confirmed', 'rejected')), \
     CONSTRAINT yardstick_reason CHECK ((state = 'rejected') = (reason IS NOT NULL))) \
     ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin; \
     CREATE TABLE yardstick_items (order_id BINARY(16) NOT NULL, sku VARCHAR(64) NOT NULL, quantity INT NOT NULL, \
     unit_price_minor BIGINT NOT NULL, PRIMARY KEY (order_id, sku), CONSTRAINT yardstick_quantity CHECK (quantity > 0)) \
     ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";

const INTO_ORDERS: &str = "INSERT INTO yardstick_orders (order_id, sale_id, user_id, payload_digest, state, reason, currency, \
     total_minor, shipping_address, client_reference, catalogue_revision, traceparent, accepted_at, decided_at) VALUES ";
const INTO_ITEMS: &str = "INSERT INTO yardstick_items (order_id, sku, quantity, unit_price_minor) VALUES ";

const INTO_OWN: &str = "INSERT INTO orders (order_id, sale_id, user_id, payload_digest, state, reason, currency, \
     total_minor, items, shipping_address, client_reference, catalogue_revision, traceparent, accepted_at, decided_at) VALUES ";

const ADDRESS: &str = r#"{"recipient":"Buyer 4711","line1":"1021 Nanjing Road, Building 7, Room 1204","city":"Shanghai","postal_code":"200001","country":"CN","phone":"+86 130 12345678"}"#;
const ACCEPTED_AT: &str = "2026-11-11 00:00:00.123";

/// The same address as the drain stores it.
const LINES: &str =
    "Buyer 4711\n1021 Nanjing Road, Building 7, Room 1204\n\nShanghai\n\n200001\nCN\n+86 130 12345678";

/// Inserts a batch into the drain's own table, in one transaction.
pub(super) async fn own(connection: &mut MySqlConnection, batch: &[AcceptedOrder]) -> anyhow::Result<()> {
    let orders =
        repeated(INTO_OWN, "(?, ?, ?, ?, 1, NULL, ?, ?, ?, ?, ?, ?, ?, ?, UTC_TIMESTAMP(6))", batch.len());
    let mut of_orders = MySqlArguments::default();
    for order in batch {
        let item = order.items.first().context("an order has a line")?;
        bind(&mut of_orders, order.order_id.as_bytes().as_slice())?;
        bind(&mut of_orders, order.sale_id.as_str())?;
        bind(&mut of_orders, order.user_id.as_str())?;
        bind(&mut of_orders, order.digest.as_bytes().as_slice())?;
        bind(&mut of_orders, order.currency.as_str())?;
        bind(&mut of_orders, order.total_minor())?;
        bind(&mut of_orders, format!("{{\"{}\":[1,{}]}}", item.sku, item.unit_price_minor))?;
        bind(&mut of_orders, LINES)?;
        bind(&mut of_orders, order.client_reference.as_ref().map(AsRef::<str>::as_ref))?;
        bind(&mut of_orders, order.catalogue_revision.as_str())?;
        bind(&mut of_orders, [7_u8; 25].as_slice())?;
        bind(&mut of_orders, ACCEPTED_AT)?;
    }
    plain(connection, "BEGIN".to_owned()).await?;
    sqlx::query_with(AssertSqlSafe(orders), of_orders).execute(&mut *connection).await?;
    plain(connection, "COMMIT".to_owned()).await
}

/// Inserts a batch into the yardstick in one transaction.
pub(super) async fn binary(connection: &mut MySqlConnection, batch: &[AcceptedOrder]) -> anyhow::Result<()> {
    let orders =
        repeated(INTO_ORDERS, "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, UTC_TIMESTAMP(6))", batch.len());
    let items = repeated(INTO_ITEMS, "(?, ?, ?, ?)", batch.len());
    let (mut of_orders, mut of_items) = (MySqlArguments::default(), MySqlArguments::default());
    for order in batch {
        bind(&mut of_orders, order.order_id.as_bytes().as_slice())?;
        bind(&mut of_orders, order.sale_id.as_str())?;
        bind(&mut of_orders, order.user_id.as_str())?;
        bind(&mut of_orders, order.digest.as_bytes().as_slice())?;
        bind(&mut of_orders, "confirmed")?;
        bind(&mut of_orders, None::<&str>)?;
        bind(&mut of_orders, order.currency.as_str())?;
        bind(&mut of_orders, order.total_minor())?;
        bind(&mut of_orders, ADDRESS)?;
        bind(&mut of_orders, order.client_reference.as_ref().map(AsRef::<str>::as_ref))?;
        bind(&mut of_orders, order.catalogue_revision.as_str())?;
        bind(&mut of_orders, order.traceparent.as_ref().map(shared::order::TraceParent::as_str))?;
        bind(&mut of_orders, ACCEPTED_AT)?;
        let item = order.items.first().context("an order has a line")?;
        bind(&mut of_items, order.order_id.as_bytes().as_slice())?;
        bind(&mut of_items, item.sku.as_str())?;
        bind(&mut of_items, item.quantity.get())?;
        bind(&mut of_items, item.unit_price_minor)?;
    }
    plain(connection, "BEGIN".to_owned()).await?;
    sqlx::query_with(AssertSqlSafe(orders), of_orders).execute(&mut *connection).await?;
    sqlx::query_with(AssertSqlSafe(items), of_items).execute(&mut *connection).await?;
    plain(connection, "COMMIT".to_owned()).await
}

/// The same by the text protocol. The values are this program's own and hold no quotes.
pub(super) async fn text(connection: &mut MySqlConnection, batch: &[AcceptedOrder]) -> anyhow::Result<()> {
    let mut orders = String::with_capacity(batch.len() * 500);
    let mut items = String::with_capacity(batch.len() * 80);
    orders.push_str(INTO_ORDERS);
    items.push_str(INTO_ITEMS);
    for (index, order) in batch.iter().enumerate() {
        let separator = if index > 0 { "," } else { "" };
        let id = HexLiteral(order.order_id.as_bytes());
        let total = order.total_minor().context("an order has a total")?;
        write!(
            orders,
            "{separator}({id},'{}','{}',{},'confirmed',NULL,'{}',{total},'{ADDRESS}',{},'{}',{},'{ACCEPTED_AT}',UTC_TIMESTAMP(6))",
            order.sale_id,
            order.user_id.as_str(),
            HexLiteral(order.digest.as_bytes()),
            order.currency,
            QuotedLiteral(order.client_reference.as_ref().map(AsRef::<str>::as_ref)),
            order.catalogue_revision,
            QuotedLiteral(order.traceparent.as_ref().map(shared::order::TraceParent::as_str)),
        )?;
        let item = order.items.first().context("an order has a line")?;
        write!(items, "{separator}({id},'{}',{},{})", item.sku, item.quantity.get(), item.unit_price_minor)?;
    }
    plain(connection, "BEGIN".to_owned()).await?;
    plain(connection, orders).await?;
    plain(connection, items).await?;
    plain(connection, "COMMIT".to_owned()).await
}

fn bind<'q, T>(arguments: &mut MySqlArguments, value: T) -> anyhow::Result<()>
where
    T: sqlx::Encode<'q, MySql> + sqlx::Type<MySql>,
{
    arguments.add(value).map_err(|error| anyhow::anyhow!(error))
}

fn repeated(head: &str, row: &str, count: usize) -> String {
    let mut text = String::with_capacity(head.len() + count * (row.len() + 1));
    text.push_str(head);
    for index in 0..count {
        if index > 0 {
            text.push(',');
        }
        text.push_str(row);
    }
    text
}

async fn plain(connection: &mut MySqlConnection, text: String) -> anyhow::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(text)).execute(connection).await?;
    Ok(())
}

struct HexLiteral<'a>(&'a [u8]);

impl std::fmt::Display for HexLiteral<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        formatter.write_str("0x")?;
        for byte in self.0 {
            formatter.write_char(char::from(DIGITS[usize::from(byte >> 4)]))?;
            formatter.write_char(char::from(DIGITS[usize::from(byte & 15)]))?;
        }
        Ok(())
    }
}

/// A quoted literal of a text without quotes, or NULL.
struct QuotedLiteral<'a>(Option<&'a str>);

impl std::fmt::Display for QuotedLiteral<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(text) => write!(formatter, "'{text}'"),
            None => formatter.write_str("NULL"),
        }
    }
}
