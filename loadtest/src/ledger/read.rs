//! Reads the database with its own SQL, independent of the worker's code, in pages of bounded size.

use std::collections::{BTreeMap, HashSet};
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use shared::config::DatabaseUrl;
use shared::order::{OrderId, PayloadDigest};
use shared::retry::Backoff;
use sqlx::mysql::MySqlConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};
use tokio::time::sleep;

use super::attempt::Payload;
use super::judge::{Judge, Judgement, RunFacts, SideTables};
use super::rows::{ConflictRow, LetterRow, LineRow, OrderRow, PurchaseRow, SkuRow};
use super::scope::{DrainGroup, RunScope, hidden_at_most, settled_in_report};
use crate::workload::Workload;

/// Maximum orders of one query.
const PAGE_ORDERS: usize = 2_000;

/// Maximum ids of one query by id; SQLite allows 32,766 parameters in a statement.
pub(super) const IDS_MAX: usize = 500;

const TRIES: u32 = 5;

const RETRY: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(10));

const STOCK: &str =
    "SELECT sku, stock_total, stock_reserved, per_user_limit FROM sale_skus WHERE sale_id = ?";
const GROUPS: &str = "SELECT group_id, revision, settings FROM drain_groups";
const LEASES: &str = "SELECT lease_id, report FROM drain_leases";
const PURCHASES: &str = "SELECT user_id, sku, quantity FROM user_purchases WHERE sale_id = ? AND user_id LIKE ? \
     AND (user_id > ? OR (user_id = ? AND sku > ?)) ORDER BY user_id, sku LIMIT 2000";

#[derive(Debug)]
pub struct LedgerReader {
    url: DatabaseUrl,
    connection: DatabaseConnection,
}

#[derive(Debug)]
enum DatabaseConnection {
    MySql(Box<MySqlConnection>),
    Sqlite(Box<SqliteConnection>),
}

/// An order's id and decision time, microseconds since 1970 by the database's clock.
#[derive(Clone, Copy, Debug)]
pub struct DecidedOrder {
    pub order_id: OrderId,
    pub decided_at_us: i64,
}

/// The system that a run has begun on.
#[derive(Clone, Debug)]
pub struct LedgerSystem {
    /// True if it was started for this run, with an empty database.
    pub is_own: bool,
    /// The drain's consumer group; `None`: the only one in the database.
    pub group: Option<String>,
    /// Time for which the drain's workers hide a received message.
    pub invisible: Duration,
}

/// Evaluates `$body` with `$connection` as the driver's own connection.
macro_rules! on {
    ($reader:expr, $connection:ident => $body:expr) => {
        match &mut $reader.connection {
            DatabaseConnection::MySql(connection) => {
                let $connection = connection.as_mut();
                $body
            }
            DatabaseConnection::Sqlite(connection) => {
                let $connection = connection.as_mut();
                $body
            }
        }
    };
}

/// Reads all rows of `$text` with `$values` bound; `$row` becomes `$value`.
macro_rules! rows {
    ($reader:expr, $text:expr, [$($bound:expr),*], $row:ident => $value:expr) => {
        on!($reader, connection => {
            let query = sqlx::query(AssertSqlSafe($text))$(.bind($bound))*;
            let mut values = Vec::new();
            for $row in query.fetch_all(&mut *connection).await? {
                values.push($value);
            }
            values
        })
    };
}

impl LedgerReader {
    pub async fn connect(url: &DatabaseUrl) -> anyhow::Result<Self> {
        Ok(Self { url: url.clone(), connection: connect(url).await? })
    }

    pub async fn version(&mut self) -> anyhow::Result<String> {
        let (name, text) = match self.connection {
            DatabaseConnection::MySql(_) => ("", "SELECT VERSION()"),
            DatabaseConnection::Sqlite(_) => ("SQLite ", "SELECT sqlite_version()"),
        };
        let versions = rows!(self, text, [], row => row.try_get::<String, _>(0)?);
        Ok(format!("{name}{}", versions.concat()))
    }

    /// A further connection to the same database.
    pub async fn another(&self) -> anyhow::Result<Self> {
        Self::connect(&self.url).await
    }

    /// Orders that each worker reports as settled since its start, by lease, from its last heartbeat.
    pub async fn worker_totals(&mut self) -> anyhow::Result<Vec<(String, u64)>> {
        Ok(rows!(self, LEASES, [], row => {
            (row.try_get::<String, _>(0)?, settled_in_report(row.try_get(1)?))
        }))
    }

    /// All orders of the database.
    pub async fn decided_orders(&mut self) -> anyhow::Result<Vec<DecidedOrder>> {
        let text = format!("SELECT order_id, {} FROM orders", self.microseconds("decided_at"));
        Ok(rows!(self, text, [], row => DecidedOrder {
            order_id: order_id(row.try_get(0)?)?,
            decided_at_us: row.try_get(1)?,
        }))
    }

    /// Remembers the system's state. Call it before the first request.
    pub async fn begin(&mut self, workload: &Workload, system: LedgerSystem) -> anyhow::Result<RunScope> {
        let (began_us, clock_offset_us) = self.clock().await?;
        Ok(RunScope {
            is_own: system.is_own,
            clock_offset_us,
            began_us,
            skus_before: self.skus(workload).await?,
            groups_before: self.groups().await?,
            hidden_us: hidden_at_most(system.invisible).as_micros() as i64,
            group: system.group,
        })
    }

    /// Judges the run on one consistent snapshot, so that others may write meanwhile. A broken connection is opened
    /// again, and the reading starts anew.
    pub async fn judge(
        &mut self,
        run: RunFacts<'_>,
        scope: &RunScope,
        sample_max: usize,
        progress: impl Fn(u64),
    ) -> anyhow::Result<Judgement> {
        let mut tries = 0;
        loop {
            match self.judge_once(run, scope, sample_max, &progress).await {
                Ok(judgement) => return Ok(judgement),
                Err(error) => self.recover(error, &mut tries).await?,
            }
        }
    }

    /// Connects again after `error`, unless that was tried often enough.
    pub(super) async fn recover(&mut self, error: anyhow::Error, tries: &mut u32) -> anyhow::Result<()> {
        *tries += 1;
        loop {
            if *tries >= TRIES {
                return Err(error.context("ledger: the database cannot be read"));
            }
            sleep(RETRY.delay(*tries)).await;
            match connect(&self.url).await {
                Ok(connection) => {
                    self.connection = connection;
                    return Ok(());
                }
                Err(_still_down) => *tries += 1,
            }
        }
    }

    async fn judge_once(
        &mut self,
        run: RunFacts<'_>,
        scope: &RunScope,
        sample_max: usize,
        progress: &impl Fn(u64),
    ) -> anyhow::Result<Judgement> {
        for text in self.begin_statements() {
            self.execute(text).await?;
        }
        let side = SideTables {
            skus: self.skus(run.workload).await?,
            conflicts: self.conflicts(scope).await?,
            letters: self.letters(run.workload, scope).await?,
        };
        let groups = self.groups().await?;
        let mut judge = Judge::new(run, scope, &side, sample_max)?;
        let (mut last, mut count) = (None, 0);
        loop {
            let page = self.orders(run.workload, scope, last).await?;
            let Some(row) = page.last() else { break };
            last = Some(row.order_id);
            count += page.len() as u64;
            page.iter().try_for_each(|row| judge.order(row))?;
            progress(count);
        }
        let mut last = (String::new(), String::new());
        loop {
            let page = self.purchases(run.workload, scope, &last).await?;
            let Some(row) = page.last() else { break };
            last = (row.user_id.clone(), row.sku.clone());
            page.iter().for_each(|row| judge.purchase(row));
        }
        self.execute("COMMIT").await?;
        Ok(judge.finish(scope.cap(&groups))?)
    }

    async fn execute(&mut self, text: &'static str) -> anyhow::Result<()> {
        on!(self, connection => {
            sqlx::raw_sql(text).execute(&mut *connection).await?;
        });
        Ok(())
    }

    /// The payloads of the run's orders that are decided, a page after `last`, ascending by order id.
    pub(super) async fn decided_payloads(
        &mut self,
        workload: &Workload,
        scope: &RunScope,
        last: Option<OrderId>,
    ) -> anyhow::Result<Vec<(OrderId, Payload)>> {
        let decided = self.microseconds("decided_at");
        let text = format!(
            "SELECT order_id, payload_digest FROM orders WHERE order_id > ? AND ({decided} >= ? OR user_id LIKE ?) \
             ORDER BY order_id LIMIT {PAGE_ORDERS}"
        );
        let pattern = format!("{}%", workload.user_prefix());
        Ok(rows!(self, text.as_str(), [bytes(last), scope.since_us(), pattern.as_str()], row => {
            (order_id(row.try_get(0)?)?, digest(row.try_get(1)?)?.into())
        }))
    }

    /// Those of the payloads of `ids` that the database has as an order, a conflict or a dead letter.
    pub(super) async fn settled_payloads(
        &mut self,
        ids: &[OrderId],
    ) -> anyhow::Result<HashSet<(OrderId, Payload)>> {
        let marks = vec!["?"; ids.len()].join(", ");
        let mut settled = HashSet::new();
        for table in ["orders", "order_conflicts", "dead_letters"] {
            let text = format!("SELECT order_id, payload_digest FROM {table} WHERE order_id IN ({marks})");
            let found = on!(self, connection => {
                let mut query = sqlx::query(AssertSqlSafe(text));
                for order_id in ids {
                    query = query.bind(order_id.as_bytes().to_vec());
                }
                let mut found = Vec::new();
                for row in query.fetch_all(&mut *connection).await? {
                    let digest_bytes: Option<&[u8]> = row.try_get(1)?;
                    if let Some(bytes) = digest_bytes {
                        found.push((order_id(row.try_get(0)?)?, digest(bytes)?.into()));
                    }
                }
                found
            });
            settled.extend(found);
        }
        Ok(settled)
    }

    /// The database's time, and how far it is ahead of this machine's; microseconds.
    async fn clock(&mut self) -> anyhow::Result<(i64, i64)> {
        let text = match self.connection {
            DatabaseConnection::MySql(_) => {
                "SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"
            }
            DatabaseConnection::Sqlite(_) => {
                "SELECT CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)"
            }
        };
        let before_us = now_us()?;
        let times = rows!(self, text, [], row => row.try_get::<i64, _>(0)?);
        let now_us = i64::midpoint(before_us, now_us()?);
        let database_us = times.first().copied().context("the database has a clock")?;
        Ok((database_us, database_us - now_us))
    }

    async fn skus(&mut self, workload: &Workload) -> anyhow::Result<Vec<SkuRow>> {
        Ok(rows!(self, STOCK, [workload.sale_id()], row => SkuRow {
            sku: row.try_get(0)?,
            total: row.try_get(1)?,
            reserved: row.try_get(2)?,
            per_user_limit: row.try_get(3)?,
        }))
    }

    async fn groups(&mut self) -> anyhow::Result<Vec<DrainGroup>> {
        Ok(rows!(self, GROUPS, [], row => DrainGroup {
            group_id: row.try_get(0)?,
            revision: row.try_get(1)?,
            settings: row.try_get(2)?,
        }))
    }

    pub(super) async fn conflicts(&mut self, scope: &RunScope) -> anyhow::Result<Vec<ConflictRow>> {
        let seen = self.microseconds("first_seen_at");
        let text = format!(
            "SELECT order_id, payload_digest, {seen} FROM order_conflicts WHERE {seen} >= ? ORDER BY order_id"
        );
        Ok(rows!(self, text, [scope.since_us()], row => ConflictRow {
            order_id: order_id(row.try_get(0)?)?,
            digest: digest(row.try_get(1)?)?,
            first_seen_us: row.try_get(2)?,
        }))
    }

    pub(super) async fn letters(
        &mut self,
        workload: &Workload,
        scope: &RunScope,
    ) -> anyhow::Result<Vec<LetterRow>> {
        let failed = self.microseconds("last_failed_at");
        let text = format!(
            "SELECT order_id, payload_digest, user_id, reason, CASE WHEN discarded_at IS NULL THEN 1 ELSE 0 END \
             FROM dead_letters WHERE {failed} >= ? OR user_id LIKE ?"
        );
        let pattern = format!("{}%", workload.user_prefix());
        let mut letters = rows!(self, text, [scope.since_us(), pattern.as_str()], row => LetterRow {
            order_id: row.try_get::<Option<&[u8]>, _>(0)?.map(order_id).transpose()?,
            digest: row.try_get::<Option<&[u8]>, _>(1)?.map(digest).transpose()?,
            user_id: row.try_get(2)?,
            reason: row.try_get(3)?,
            is_open: row.try_get::<i64, _>(4)? == 1,
        });
        letters.sort_by_key(|letter| letter.order_id);
        Ok(letters)
    }

    async fn orders(
        &mut self,
        workload: &Workload,
        scope: &RunScope,
        last: Option<OrderId>,
    ) -> anyhow::Result<Vec<OrderRow>> {
        let decided = self.microseconds("decided_at");
        let text = format!(
            "SELECT order_id, payload_digest, sale_id, user_id, state, reason, currency, total_minor, \
             CASE WHEN user_id LIKE ? THEN shipping_address END, client_reference, {decided}, items FROM orders \
             WHERE order_id > ? AND ({decided} >= ? OR user_id LIKE ?) ORDER BY order_id LIMIT {PAGE_ORDERS}"
        );
        let ours = format!("{}%", workload.user_prefix());
        let readable = if scope.is_own { "%" } else { ours.as_str() };
        let bound = (bytes(last), scope.since_us());
        Ok(rows!(self, text, [readable, bound.0.clone(), bound.1, ours.as_str()], row => OrderRow {
            order_id: order_id(row.try_get(0)?)?,
            digest: digest(row.try_get(1)?)?,
            sale_id: row.try_get(2)?,
            user_id: row.try_get(3)?,
            state: state_name(row.try_get(4)?),
            reason: row.try_get::<Option<i64>, _>(5)?.map(reason_name),
            currency: row.try_get(6)?,
            total_minor: row.try_get(7)?,
            address: row.try_get(8)?,
            client_reference: row.try_get(9)?,
            decided_us: row.try_get(10)?,
            lines: lines(row.try_get(11)?)?,
        }))
    }

    async fn purchases(
        &mut self,
        workload: &Workload,
        scope: &RunScope,
        (user_id, sku): &(String, String),
    ) -> anyhow::Result<Vec<PurchaseRow>> {
        let pattern = if scope.is_own { "%".to_owned() } else { format!("{}%", workload.user_prefix()) };
        let bound = [workload.sale_id(), &pattern, user_id, user_id, sku];
        Ok(rows!(self, PURCHASES, [bound[0], bound[1], bound[2], bound[3], bound[4]], row => PurchaseRow {
            user_id: row.try_get(0)?,
            sku: row.try_get(1)?,
            units: row.try_get(2)?,
        }))
    }

    /// The SQL expression of a time as microseconds since 1970. SQLite's clock has milliseconds; truncating never
    /// reduces a distance of a second or more below it.
    fn microseconds(&self, column: &str) -> String {
        match self.connection {
            DatabaseConnection::MySql(_) => format!("TIMESTAMPDIFF(MICROSECOND, '1970-01-01', {column})"),
            DatabaseConnection::Sqlite(_) => format!(
                "(CAST(strftime('%s', {column}) AS INTEGER) * 1000000 + CAST(substr({column}, 21, 3) AS INTEGER) * 1000)"
            ),
        }
    }

    /// Not `READ ONLY`, which a cluster's endpoint may send to a replica that lags.
    const fn begin_statements(&self) -> &'static [&'static str] {
        match self.connection {
            DatabaseConnection::MySql(_) => &[
                "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
                "START TRANSACTION WITH CONSISTENT SNAPSHOT",
            ],
            DatabaseConnection::Sqlite(_) => &["BEGIN"],
        }
    }
}

async fn connect(url: &DatabaseUrl) -> anyhow::Result<DatabaseConnection> {
    if url.scheme() == "mysql" {
        let connection = MySqlConnection::connect(url.expose()).await;
        let connection = connection.context("ledger: the database does not respond")?;
        return Ok(DatabaseConnection::MySql(Box::new(connection)));
    }
    let options = SqliteConnectOptions::from_str(url.expose())?.read_only(true);
    let connection = options.connect().await.context("ledger: the database cannot be opened")?;
    Ok(DatabaseConnection::Sqlite(Box::new(connection)))
}

fn now_us() -> anyhow::Result<i64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as i64)
}

/// The lower bound of a page: empty bytes come before every id.
fn bytes(order_id: Option<OrderId>) -> Vec<u8> {
    order_id.map(|order_id| order_id.as_bytes().to_vec()).unwrap_or_default()
}

fn order_id(bytes: &[u8]) -> anyhow::Result<OrderId> {
    Ok(OrderId::from_bytes(bytes.try_into().context("an order id has 16 bytes")?))
}

fn digest(bytes: &[u8]) -> anyhow::Result<PayloadDigest> {
    Ok(PayloadDigest::from_bytes(bytes.try_into().context("a digest has 32 bytes")?))
}

/// The name that the look-up shows for a number in the column `state`.
fn state_name(state: i64) -> String {
    match state {
        1 => "confirmed".to_owned(),
        2 => "rejected".to_owned(),
        other => format!("state {other}"),
    }
}

/// As [`state_name`], for the column `reason`.
fn reason_name(reason: i64) -> String {
    match reason {
        1 => "sold_out".to_owned(),
        2 => "limit_exceeded".to_owned(),
        other => format!("reason {other}"),
    }
}

fn lines(items: &str) -> anyhow::Result<Vec<LineRow>> {
    let items: BTreeMap<String, (i64, i64)> =
        serde_json::from_str(items).context("an order's lines are JSON")?;
    let line = |(sku, (quantity, unit_price_minor))| LineRow { sku, quantity, unit_price_minor };
    Ok(items.into_iter().map(line).collect())
}
