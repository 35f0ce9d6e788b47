//! One measurement of a subject.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use drain_worker::store::{CommitOutcome, Fence, OrderStore, Store, StoreConfig};
use drain_worker::tune::Scratch;
use drain_worker::tune::orders::{Orders, catalogue};
use hdrhistogram::Histogram;
use serde::Serialize;
use shared::order::{AcceptedOrder, Outcome, RejectReason};
use sqlx::mysql::MySqlConnection;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::plain_insert;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(super) enum DrainSubject {
    /// Multi-row INSERTs into two tables by the text protocol, without decisions
    InsertText,
    /// The same by the binary protocol
    InsertBinary,
    /// Multi-row INSERTs into the drain's own table, without decisions
    InsertOwn,
    /// The drain, many SKUs without a limit
    Many,
    /// The same with tables of four times the server's buffer pool
    ManyFull,
    /// The drain, many SKUs with a limit per buyer
    ManyLimited,
    /// The drain, one SKU without a limit
    Hot,
    /// The drain, one SKU with a limit per buyer
    HotLimited,
    /// The drain, one SKU that is sold out
    SoldOut,
    /// The drain, orders that are already committed
    Redelivered,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OrderMix {
    pub(super) hot: bool,
    pub(super) limited: bool,
    pub(super) in_stock: bool,
}

impl DrainSubject {
    /// Those of every round.
    pub(super) const ALL: [Self; 9] = [
        Self::InsertText,
        Self::InsertBinary,
        Self::InsertOwn,
        Self::Many,
        Self::Hot,
        Self::ManyLimited,
        Self::HotLimited,
        Self::SoldOut,
        Self::Redelivered,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::InsertText => "(a) INSERT, text protocol",
            Self::InsertBinary => "(a) INSERT, binary protocol",
            Self::InsertOwn => "(a1) INSERT into the drain's table",
            Self::ManyFull => "(b2) drain, tables 4 × the pool",
            Self::Many => "(b) drain, many SKUs",
            Self::Hot => "(c) drain, one SKU",
            Self::ManyLimited => "(b1) drain, many SKUs, limited",
            Self::HotLimited => "(c1) drain, one SKU, limited",
            Self::SoldOut => "(c2) drain, one SKU, sold out",
            Self::Redelivered => "(d) drain, redelivered",
        }
    }

    pub(super) const fn is_plain_insert(self) -> bool {
        matches!(self, Self::InsertText | Self::InsertBinary | Self::InsertOwn)
    }

    pub(super) const fn order_mix(self) -> OrderMix {
        OrderMix {
            hot: matches!(self, Self::Hot | Self::HotLimited | Self::SoldOut),
            limited: matches!(self, Self::ManyLimited | Self::HotLimited),
            in_stock: !matches!(self, Self::SoldOut),
        }
    }
}

impl std::fmt::Display for DrainSubject {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(self.name())
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct WindowLoad {
    pub(super) orders: u32,
    pub(super) connections: u32,
    pub(super) batch_orders: u32,
}

impl WindowLoad {
    fn batches_each(self) -> u64 {
        u64::from(self.orders).div_ceil(u64::from(self.connections) * u64::from(self.batch_orders)).max(1)
    }
}

/// Latencies are a batch's, from the request for a connection to the response to COMMIT.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct DrainWindow {
    pub(super) subject: DrainSubject,
    pub(super) round: u32,
    pub(super) connections: u32,
    pub(super) batch_orders: u32,
    pub(super) orders: u64,
    pub(super) orders_per_s: f64,
    pub(super) p50_us: u64,
    pub(super) p99_us: u64,
    /// Bytes of all of the drain's tables and indexes, divided by the orders in them; 0: the yardstick.
    pub(super) bytes_per_order: f64,
}

impl std::fmt::Display for DrainWindow {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{:<32}{:>3} × {:<5}{:>8.0} orders/s   batch p50 {:>6.1} ms  p99 {:>6.1} ms",
            self.subject,
            self.connections,
            self.batch_orders,
            self.orders_per_s,
            self.p50_us as f64 / 1e3,
            self.p99_us as f64 / 1e3
        )
    }
}

/// The latency of each batch.
type CommitLatencies = anyhow::Result<Vec<Duration>>;

/// Shared by all measurements.
#[derive(Debug)]
pub(super) struct Fixture<'a> {
    pub(super) scratch: &'a Scratch,
    pub(super) fence: Fence,
    pub(super) skus: u32,
}

impl Fixture<'_> {
    /// Measures `subject` on empty tables, after a warm-up.
    pub(super) async fn measure(
        &self,
        subject: DrainSubject,
        round: u32,
        load: WindowLoad,
    ) -> anyhow::Result<DrainWindow> {
        self.empty().await?;
        let mix = subject.order_mix();
        let orders = Orders::over(if mix.hot { 1 } else { self.skus })?;
        let each = load.batches_each();
        let batches = |first: u64, count: u64| -> anyhow::Result<Vec<Vec<Vec<AcceptedOrder>>>> {
            let batch = u64::from(load.batch_orders);
            let of = |committer: u64| {
                let begin = first + committer * count * batch;
                (0..count)
                    .map(|number| Ok(orders.batch(begin + number * batch..begin + (number + 1) * batch)?))
                    .collect()
            };
            (0..u64::from(load.connections)).map(of).collect()
        };
        // Prepares statements, opens connections and extends files before the measurement.
        let warm_up = batches(1 << 40, (each / 5).clamp(2, 20))?;
        let work = batches(0, each)?;
        if subject == DrainSubject::ManyFull {
            self.fill(&orders, load).await?;
        }
        let (began, elapsed) = if subject.is_plain_insert() {
            self.plain_insert(subject, warm_up).await?;
            self.plain_insert(subject, work).await?
        } else {
            self.store(subject, mix, load, warm_up, work).await?
        };
        let mut histogram = Histogram::<u64>::new(3)?;
        for latency in &elapsed {
            histogram.record(u64::try_from(latency.as_micros())?)?;
        }
        let orders = each * u64::from(load.connections) * u64::from(load.batch_orders);
        Ok(DrainWindow {
            subject,
            round,
            connections: load.connections,
            batch_orders: load.batch_orders,
            orders,
            orders_per_s: orders as f64 / began.as_secs_f64(),
            p50_us: histogram.value_at_quantile(0.5),
            p99_us: histogram.value_at_quantile(0.99),
            bytes_per_order: self.bytes_per_order().await?,
        })
    }

    async fn empty(&self) -> anyhow::Result<()> {
        self.scratch.empty().await?;
        let mut connection = self.scratch.connect().await?;
        let text = "TRUNCATE yardstick_orders; TRUNCATE yardstick_items";
        sqlx::raw_sql(text).execute(&mut connection).await?;
        Ok(())
    }

    async fn bytes_per_order(&self) -> anyhow::Result<f64> {
        let (bytes, orders) = self.size().await?;
        Ok(if orders == 0 { 0.0 } else { bytes as f64 / orders as f64 })
    }

    /// Bytes of the drain's tables of orders and buyers, and the orders in them.
    async fn size(&self) -> anyhow::Result<(u64, u64)> {
        let mut connection = self.scratch.connect().await?;
        sqlx::raw_sql("ANALYZE TABLE orders, user_purchases").execute(&mut connection).await?;
        let bytes: i64 = sqlx::query_scalar(
            "SELECT CAST(SUM(data_length + index_length) AS SIGNED) FROM information_schema.tables \
             WHERE table_schema = DATABASE() AND table_name IN ('orders', 'user_purchases')",
        )
        .fetch_one(&mut connection)
        .await?;
        let orders: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM orders").fetch_one(&mut connection).await?;
        Ok((bytes.try_into()?, orders.try_into()?))
    }

    /// Inserts orders until the tables have four times the size of the server's buffer pool.
    async fn fill(&self, orders: &Orders, load: WindowLoad) -> anyhow::Result<()> {
        let mut connection = self.scratch.connect().await?;
        let pool: i64 = sqlx::query_scalar("SELECT CAST(@@innodb_buffer_pool_size AS SIGNED)")
            .fetch_one(&mut connection)
            .await?;
        let (goal, step) = (u64::try_from(pool)? * 4, 100 * u64::from(load.batch_orders));
        let mut next = 1 << 50;
        while self.size().await?.0 < goal {
            let of = |first: u64| -> anyhow::Result<Vec<Vec<AcceptedOrder>>> {
                let batch = u64::from(load.batch_orders);
                (0..100).map(|at| Ok(orders.batch(first + at * batch..first + (at + 1) * batch)?)).collect()
            };
            let work: Vec<_> = (0..4).map(|part| of(next + part * step)).collect::<Result<_, _>>()?;
            next += 4 * step;
            self.plain_insert(DrainSubject::InsertOwn, work).await?;
        }
        Ok(())
    }

    async fn plain_insert(
        &self,
        subject: DrainSubject,
        work: Vec<Vec<Vec<AcceptedOrder>>>,
    ) -> anyhow::Result<(Duration, Vec<Duration>)> {
        let mut committers = Vec::new();
        for batches in work {
            committers.push((self.scratch.connect().await?, batches));
        }
        together(committers, |(mut connection, batches)| async move {
            insert_all(subject, &mut connection, &batches).await
        })
        .await
    }

    async fn store(
        &self,
        subject: DrainSubject,
        mix: OrderMix,
        load: WindowLoad,
        warm_up: Vec<Vec<Vec<AcceptedOrder>>>,
        work: Vec<Vec<Vec<AcceptedOrder>>>,
    ) -> anyhow::Result<(Duration, Vec<Duration>)> {
        let config = StoreConfig {
            writers_max: load.connections.try_into().context("at least one connection")?,
            ..StoreConfig::default()
        };
        let store = Arc::new(Store::connect(self.scratch.url(), config).await?);
        self.stock(&store, mix).await?;
        let expected = match (subject, mix.in_stock) {
            (DrainSubject::Redelivered, _) => CommitOutcome::Duplicate(Outcome::Confirmed),
            (_, true) => CommitOutcome::New(Outcome::Confirmed),
            (_, false) => CommitOutcome::New(Outcome::Rejected(RejectReason::SoldOut)),
        };
        let fence = self.fence;
        let commit = async |work: Vec<Vec<Vec<AcceptedOrder>>>, expected: Option<CommitOutcome>| {
            together(work, |batches| {
                let store = store.clone();
                async move { commit_all(&store, fence, &batches, expected).await }
            })
            .await
        };
        commit(warm_up, None).await?;
        if subject == DrainSubject::Redelivered {
            commit(work.clone(), None).await?;
        }
        let result = commit(work, Some(expected)).await;
        store.close().await;
        result
    }

    async fn stock(&self, store: &Store, mix: OrderMix) -> anyhow::Result<()> {
        store.apply_catalogue(&catalogue(self.skus, mix.limited.then_some(5))?).await?;
        let reserved = if mix.in_stock { "0" } else { "stock_total" };
        let mut connection = self.scratch.connect().await?;
        let text = format!("UPDATE sale_skus SET stock_reserved = {reserved}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(text)).execute(&mut connection).await?;
        Ok(())
    }

    /// Commits orders one at a time; returns the latency of each.
    pub(super) async fn single_orders(&self, count: u32) -> anyhow::Result<Vec<Duration>> {
        self.empty().await?;
        let store = Store::connect(self.scratch.url(), StoreConfig::default()).await?;
        self.stock(&store, DrainSubject::ManyLimited.order_mix()).await?;
        let orders = Orders::over(self.skus)?;
        let batches: Vec<_> =
            (0..u64::from(count)).map(|number| orders.batch(number..number + 1)).collect::<Result<_, _>>()?;
        let latencies = commit_all(&store, self.fence, &batches, None).await;
        store.close().await;
        latencies
    }
}

/// Runs `work` for all committers concurrently; returns the time from the common start, and the latencies.
async fn together<C, F>(
    committers: Vec<C>,
    work: impl Fn(C) -> F,
) -> anyhow::Result<(Duration, Vec<Duration>)>
where
    F: Future<Output = CommitLatencies> + Send + 'static,
{
    let start = Arc::new(Barrier::new(committers.len() + 1));
    let mut tasks = JoinSet::new();
    for committer in committers {
        let (start, work) = (start.clone(), work(committer));
        tasks.spawn(async move {
            start.wait().await;
            work.await
        });
    }
    start.wait().await;
    let began = Instant::now();
    let mut latencies = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        latencies.extend(ended??);
    }
    Ok((began.elapsed(), latencies))
}

async fn insert_all(
    subject: DrainSubject,
    connection: &mut MySqlConnection,
    batches: &[Vec<AcceptedOrder>],
) -> CommitLatencies {
    let mut latencies = Vec::with_capacity(batches.len());
    for batch in batches {
        let began = Instant::now();
        match subject {
            DrainSubject::InsertText => plain_insert::text(connection, batch).await?,
            DrainSubject::InsertOwn => plain_insert::own(connection, batch).await?,
            _ => plain_insert::binary(connection, batch).await?,
        }
        latencies.push(began.elapsed());
    }
    Ok(latencies)
}

async fn commit_all(
    store: &Store,
    fence: Fence,
    batches: &[Vec<AcceptedOrder>],
    expected: Option<CommitOutcome>,
) -> CommitLatencies {
    let mut latencies = Vec::with_capacity(batches.len());
    for batch in batches {
        let began = Instant::now();
        let verdicts = store.commit(fence, batch).await?;
        latencies.push(began.elapsed());
        // A result for another decision than the subject's name says would be misleading.
        let as_expected = |kind: CommitOutcome| expected.is_none_or(|expected| kind == expected);
        ensure!(
            verdicts.len() == batch.len() && verdicts.iter().all(|verdict| as_expected(verdict.outcome)),
            "the store's decisions are not {expected:?}"
        );
    }
    Ok(latencies)
}
