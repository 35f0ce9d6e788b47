//! Reads the database's contents with its own SQL, independent of the worker's code.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::str::FromStr;

use anyhow::Context;
use shared::config::DatabaseUrl;
use shared::order::{OrderId, PayloadDigest};
use sqlx::mysql::MySqlConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, Row};

use super::{DatabaseSnapshot, LedgerOrder, LedgerStock};

const ORDERS_MYSQL: &str = "SELECT order_id, payload_digest, user_id, state, reason, \
     CAST(ROUND(UNIX_TIMESTAMP(decided_at) * 1000000) AS SIGNED) FROM orders";
// SQLite's clock has milliseconds. Truncating microseconds never reduces a distance of a second or more below it.
const ORDERS_SQLITE: &str = "SELECT order_id, payload_digest, user_id, state, reason, \
     CAST(strftime('%s', decided_at) AS INTEGER) * 1000000 + CAST(substr(decided_at, 21, 3) AS INTEGER) * 1000 FROM orders";
const ITEMS: &str = "SELECT order_id, sku, quantity FROM order_items";
const STOCK: &str = "SELECT sku, stock_total, stock_reserved, per_user_limit FROM sale_skus";
const CONFLICTS: &str = "SELECT order_id, payload_digest FROM order_conflicts";
const LETTERS: &str = "SELECT order_id, reason FROM dead_letters";
const SETTLED: &str = "SELECT (SELECT COUNT(*) FROM orders) + (SELECT COUNT(*) FROM dead_letters), \
     (SELECT COUNT(*) FROM order_conflicts)";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrainProgress {
    pub rows: u64,
    pub conflicts: u64,
}

#[derive(Debug)]
pub enum LedgerReader {
    MySql(Box<MySqlConnection>),
    Sqlite(Box<SqliteConnection>),
}

macro_rules! read_facts {
    ($connection:expr, $orders:expr) => {{
        let connection = $connection;
        let mut facts = DatabaseSnapshot::default();
        for row in sqlx::query($orders).fetch_all(&mut *connection).await.context("orders")? {
            let state: String = row.try_get(3)?;
            facts.orders.push(LedgerOrder {
                order_id: order_id(&row.try_get::<Vec<u8>, _>(0)?)?,
                digest: digest(&row.try_get::<Vec<u8>, _>(1)?)?,
                user_id: row.try_get(2)?,
                confirmed: state == "confirmed",
                reason: row.try_get(4)?,
                decided_at_us: row.try_get(5)?,
            });
        }
        let mut items: HashMap<OrderId, Vec<(String, u64)>> = HashMap::new();
        for row in sqlx::query(ITEMS).fetch_all(&mut *connection).await.context("order_items")? {
            let order_id = order_id(&row.try_get::<Vec<u8>, _>(0)?)?;
            items.entry(order_id).or_default().push((row.try_get(1)?, count(row.try_get(2)?)?));
        }
        facts.items = items;
        let mut stock = BTreeMap::new();
        for row in sqlx::query(STOCK).fetch_all(&mut *connection).await.context("sale_skus")? {
            let limit: Option<i64> = row.try_get(3)?;
            let terms = LedgerStock {
                total: count(row.try_get(1)?)?,
                reserved: count(row.try_get(2)?)?,
                per_user_limit: limit.map(count).transpose()?,
            };
            stock.insert(row.try_get(0)?, terms);
        }
        facts.stock = stock;
        let mut conflicts = HashSet::new();
        for row in sqlx::query(CONFLICTS).fetch_all(&mut *connection).await.context("order_conflicts")? {
            conflicts
                .insert((order_id(&row.try_get::<Vec<u8>, _>(0)?)?, digest(&row.try_get::<Vec<u8>, _>(1)?)?));
        }
        facts.conflicts = conflicts;
        for row in sqlx::query(LETTERS).fetch_all(&mut *connection).await.context("dead_letters")? {
            let id: Option<Vec<u8>> = row.try_get(0)?;
            facts.dead_letters.push((id.as_deref().map(order_id).transpose()?, row.try_get(1)?));
        }
        Ok(facts)
    }};
}

impl LedgerReader {
    pub async fn connect(url: &DatabaseUrl) -> anyhow::Result<Self> {
        if url.scheme() == "mysql" {
            let connection = MySqlConnection::connect(url.expose())
                .await
                .context("ledger: the database does not respond")?;
            Ok(Self::MySql(Box::new(connection)))
        } else {
            let options = SqliteConnectOptions::from_str(url.expose())?.read_only(true);
            Ok(Self::Sqlite(Box::new(
                options.connect().await.context("ledger: the database cannot be opened")?,
            )))
        }
    }

    /// Reads all tables, one after the other: call it when no request or order is in flight.
    pub async fn snapshot(&mut self) -> anyhow::Result<DatabaseSnapshot> {
        match self {
            Self::MySql(connection) => read_facts!(connection.as_mut(), ORDERS_MYSQL),
            Self::Sqlite(connection) => read_facts!(connection.as_mut(), ORDERS_SQLITE),
        }
    }

    pub async fn version(&mut self) -> anyhow::Result<String> {
        Ok(match self {
            Self::MySql(connection) => {
                sqlx::query_scalar("SELECT VERSION()").fetch_one(connection.as_mut()).await?
            }
            Self::Sqlite(connection) => {
                let version: String =
                    sqlx::query_scalar("SELECT sqlite_version()").fetch_one(connection.as_mut()).await?;
                format!("SQLite {version}")
            }
        })
    }

    pub async fn settled(&mut self) -> anyhow::Result<DrainProgress> {
        let (rows, conflicts): (i64, i64) = match self {
            Self::MySql(connection) => sqlx::query_as(SETTLED).fetch_one(connection.as_mut()).await?,
            Self::Sqlite(connection) => sqlx::query_as(SETTLED).fetch_one(connection.as_mut()).await?,
        };
        Ok(DrainProgress { rows: count(rows)?, conflicts: count(conflicts)? })
    }
}

fn order_id(bytes: &[u8]) -> anyhow::Result<OrderId> {
    Ok(OrderId::from_bytes(bytes.try_into().context("an order id has 16 bytes")?))
}

fn digest(bytes: &[u8]) -> anyhow::Result<PayloadDigest> {
    Ok(PayloadDigest::from_bytes(bytes.try_into().context("a digest has 32 bytes")?))
}

fn count(value: i64) -> anyhow::Result<u64> {
    u64::try_from(value).context("a count is not negative")
}
