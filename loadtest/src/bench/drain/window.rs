//! One measurement: so many orders, over so many connections, in batches of so many.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use drain_worker::store::{Fence, OrderStore, Store, StoreConfig, VerdictKind};
use drain_worker::tune::Scratch;
use drain_worker::tune::orders::{Orders, catalogue};
use hdrhistogram::Histogram;
use serde::Serialize;
use shared::order::{AcceptedOrder, Outcome, RejectReason};
use sqlx::mysql::MySqlConnection;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::contender::{Contender, Sold};
use super::raw;

/// Bounds of a measurement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) orders: u32,
    pub(super) connections: u32,
    pub(super) batch_orders: u32,
}

impl Load {
    fn batches_each(self) -> u64 {
        u64::from(self.orders).div_ceil(u64::from(self.connections) * u64::from(self.batch_orders)).max(1)
    }
}

/// What came of it. Latencies are a batch's, from asking for a connection to the answer to COMMIT.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Measured {
    pub(super) contender: Contender,
    pub(super) round: u32,
    pub(super) connections: u32,
    pub(super) batch_orders: u32,
    pub(super) orders: u64,
    pub(super) orders_per_s: f64,
    pub(super) p50_us: u64,
    pub(super) p99_us: u64,
}

impl std::fmt::Display for Measured {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{:<32}{:>3} × {:<5}{:>8.0} orders/s   a batch p50 {:>6.1} ms  p99 {:>6.1} ms",
            self.contender,
            self.connections,
            self.batch_orders,
            self.orders_per_s,
            self.p50_us as f64 / 1e3,
            self.p99_us as f64 / 1e3
        )
    }
}

/// A committer's end: how long each of its batches took.
type Latencies = anyhow::Result<Vec<Duration>>;

/// The database and the SKUs that measurements share.
#[derive(Debug)]
pub(super) struct Ground<'a> {
    pub(super) scratch: &'a Scratch,
    pub(super) fence: Fence,
    pub(super) skus: u32,
}

impl Ground<'_> {
    /// Measures `contender` on empty tables, after a warm-up.
    pub(super) async fn measure(
        &self,
        contender: Contender,
        round: u32,
        load: Load,
    ) -> anyhow::Result<Measured> {
        self.scratch.empty().await?;
        let sold = contender.sold();
        let orders = Orders::over(if sold.hot { 1 } else { self.skus })?;
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
        // Statements are prepared, connections opened, files extended: no measurement should pay for that.
        let warm_up = batches(1 << 40, (each / 5).clamp(2, 20))?;
        let work = batches(0, each)?;
        let (began, elapsed) = if contender.is_raw() {
            self.raw(contender, warm_up).await?;
            self.raw(contender, work).await?
        } else {
            self.store(contender, sold, load, warm_up, work).await?
        };
        let mut histogram = Histogram::<u64>::new(3)?;
        for latency in &elapsed {
            histogram.record(u64::try_from(latency.as_micros())?)?;
        }
        let orders = each * u64::from(load.connections) * u64::from(load.batch_orders);
        Ok(Measured {
            contender,
            round,
            connections: load.connections,
            batch_orders: load.batch_orders,
            orders,
            orders_per_s: orders as f64 / began.as_secs_f64(),
            p50_us: histogram.value_at_quantile(0.5),
            p99_us: histogram.value_at_quantile(0.99),
        })
    }

    async fn raw(
        &self,
        contender: Contender,
        work: Vec<Vec<Vec<AcceptedOrder>>>,
    ) -> anyhow::Result<(Duration, Vec<Duration>)> {
        let mut committers = Vec::new();
        for batches in work {
            committers.push((self.scratch.connect().await?, batches));
        }
        together(committers, |(mut connection, batches)| async move {
            insert_all(contender, &mut connection, &batches).await
        })
        .await
    }

    async fn store(
        &self,
        contender: Contender,
        sold: Sold,
        load: Load,
        warm_up: Vec<Vec<Vec<AcceptedOrder>>>,
        work: Vec<Vec<Vec<AcceptedOrder>>>,
    ) -> anyhow::Result<(Duration, Vec<Duration>)> {
        let config = StoreConfig {
            writers_max: load.connections.try_into().context("at least one connection")?,
            ..StoreConfig::default()
        };
        let store = Arc::new(Store::connect(self.scratch.url(), config).await?);
        self.stock(&store, sold).await?;
        let expected = match (contender, sold.in_stock) {
            (Contender::Again, _) => VerdictKind::Duplicate(Outcome::Confirmed),
            (_, true) => VerdictKind::New(Outcome::Confirmed),
            (_, false) => VerdictKind::New(Outcome::Rejected(RejectReason::SoldOut)),
        };
        let fence = self.fence;
        let commit = async |work: Vec<Vec<Vec<AcceptedOrder>>>, expected: Option<VerdictKind>| {
            together(work, |batches| {
                let store = store.clone();
                async move { commit_all(&store, fence, &batches, expected).await }
            })
            .await
        };
        commit(warm_up, None).await?;
        if contender == Contender::Again {
            commit(work.clone(), None).await?;
        }
        let result = commit(work, Some(expected)).await;
        store.close().await;
        result
    }

    async fn stock(&self, store: &Store, sold: Sold) -> anyhow::Result<()> {
        store.apply_catalogue(&catalogue(self.skus, sold.limited.then_some(5))?).await?;
        let reserved = if sold.in_stock { "0" } else { "stock_total" };
        let mut connection = self.scratch.connect().await?;
        let text = format!("UPDATE sale_skus SET stock_reserved = {reserved}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(text)).execute(&mut connection).await?;
        Ok(())
    }

    /// How long one order alone takes from the call to the answer: what a quiet hour's buyer waits for the database.
    pub(super) async fn lone(&self, count: u32) -> anyhow::Result<Vec<Duration>> {
        self.scratch.empty().await?;
        let store = Store::connect(self.scratch.url(), StoreConfig::default()).await?;
        self.stock(&store, Contender::ManyLimited.sold()).await?;
        let orders = Orders::over(self.skus)?;
        let batches: Vec<_> =
            (0..u64::from(count)).map(|number| orders.batch(number..number + 1)).collect::<Result<_, _>>()?;
        let latencies = commit_all(&store, self.fence, &batches, None).await;
        store.close().await;
        latencies
    }
}

/// Runs `work` for each of `committers` at once: how long all took from the common start, and their latencies.
async fn together<C, F>(
    committers: Vec<C>,
    work: impl Fn(C) -> F,
) -> anyhow::Result<(Duration, Vec<Duration>)>
where
    F: Future<Output = Latencies> + Send + 'static,
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
    contender: Contender,
    connection: &mut MySqlConnection,
    batches: &[Vec<AcceptedOrder>],
) -> Latencies {
    let mut latencies = Vec::with_capacity(batches.len());
    for batch in batches {
        let began = Instant::now();
        match contender {
            Contender::RawText => raw::text(connection, batch).await?,
            _ => raw::binary(connection, batch).await?,
        }
        latencies.push(began.elapsed());
    }
    Ok(latencies)
}

async fn commit_all(
    store: &Store,
    fence: Fence,
    batches: &[Vec<AcceptedOrder>],
    expected: Option<VerdictKind>,
) -> Latencies {
    let mut latencies = Vec::with_capacity(batches.len());
    for batch in batches {
        let began = Instant::now();
        let verdicts = store.commit(fence, batch).await?;
        latencies.push(began.elapsed());
        // A figure of something else than what its name says would be worse than none.
        let as_expected = |kind: VerdictKind| expected.is_none_or(|expected| kind == expected);
        ensure!(
            verdicts.len() == batch.len() && verdicts.iter().all(|verdict| as_expected(verdict.kind)),
            "the store decided otherwise than {expected:?}"
        );
    }
    Ok(latencies)
}
