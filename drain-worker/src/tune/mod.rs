//! `drain-worker tune`: measures the rate that the database sustains, with generated orders in a separate database.
//!
//! [`knee`] decides, without clock or database; [`load`] offers orders; [`Scratch`] is the database.

mod args;
pub mod knee;
pub mod load;
pub mod orders;
pub mod plot;
mod scratch;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use shared::catalogue::CatalogueError;
use tokio_util::sync::CancellationToken;

use crate::store::{Fence, Store, StoreConfig, StoreError};
use knee::{Knee, Step};
use load::{LoadError, Offer};

pub use args::TuneArgs;
pub use orders::{Orders, OrdersError};
pub use scratch::{NAME_PREFIX, Scratch, ScratchError};

/// Orders after which the scratch tables are emptied before the next step: about 1.2 GB.
const ORDERS_KEPT_MAX: u64 = 1_000_000;

/// Warm-up before the first step: it opens connections and prepares statements.
const WARM_UP: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
pub enum TuneError {
    #[error(transparent)]
    Scratch(#[from] ScratchError),
    #[error("database: {0}")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Orders(#[from] OrdersError),
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    #[error("--output: {0}")]
    Output(#[from] std::io::Error),
    /// Nothing to recommend; the printed conclusion says what to do.
    #[error("no cap is recommended")]
    NoCap,
    /// The ramp exceeded the maximum duration of its steps.
    #[error("a step did not end in time: the database does not answer")]
    Stuck,
    #[error("stopped; the scratch database is dropped")]
    Stopped,
}

impl From<sqlx::Error> for TuneError {
    fn from(error: sqlx::Error) -> Self {
        Self::Scratch(error.into())
    }
}

/// The result of a run, as written to `--output`.
#[derive(Clone, Debug, Serialize)]
pub struct Tuned {
    pub writers: u32,
    pub transaction_orders_max: u32,
    pub skus: u32,
    /// In the order of measurement.
    pub steps: Vec<Step>,
    /// `None`: even the lowest rate overloads the database.
    pub knee: Option<Knee>,
}

/// Ramps up the rate, printing each step by `print`, until the knee is known or `stop` is cancelled. Drops the
/// scratch database in either case.
///
/// # Errors
/// [`TuneError`].
pub async fn tune(
    args: &TuneArgs,
    stop: &CancellationToken,
    mut print: impl FnMut(&str),
) -> Result<Tuned, TuneError> {
    let scratch = Box::pin(Scratch::create(&args.database_url)).await?;
    print(&format!(
        "database {} on {}, {} writers\n\n{}",
        scratch.name(),
        args.database_url,
        args.writers,
        plot::head()
    ));
    let step = Duration::from_secs(args.step_s.into());
    // Twice the duration of the steps, so that a hanging database cannot run the command forever.
    let longest = knee::longest(args.from.into(), args.to.into(), step) * 2 + Duration::from_secs(60);
    let result = tokio::select! {
        result = tokio::time::timeout(longest, Box::pin(ramp(args, &scratch, &mut print))) => {
            result.unwrap_or(Err(TuneError::Stuck))
        }
        () = stop.cancelled() => Err(TuneError::Stopped),
    };
    scratch.drop().await?;
    let steps = result?;
    let knee = knee::find(&steps, args.limits());
    print(&format!("\n{}", plot::conclusion(knee.as_ref(), args.margin_percent)));
    let tuned = Tuned {
        writers: args.writers,
        transaction_orders_max: args.transaction_orders_max,
        skus: args.skus,
        steps,
        knee,
    };
    if let Some(path) = &args.output {
        std::fs::write(path, serde_json::to_vec_pretty(&tuned).unwrap_or_default())?;
    }
    Ok(tuned)
}

async fn ramp(
    args: &TuneArgs,
    scratch: &Scratch,
    print: &mut impl FnMut(&str),
) -> Result<Vec<Step>, TuneError> {
    let config = StoreConfig {
        writers_max: args.writers.try_into().unwrap_or(std::num::NonZeroU32::MIN),
        ..StoreConfig::default()
    };
    let store = Arc::new(Store::connect(scratch.url(), config).await?);
    store.apply_catalogue(&orders::catalogue(args.skus, args.per_user_limit)?).await?;
    let steps =
        Steps { args, store: &store, orders: Orders::over(args.skus)?, fence: scratch.lease().await? };
    let result = steps.take(scratch, print).await;
    store.close().await;
    result
}

struct Steps<'a> {
    args: &'a TuneArgs,
    store: &'a Arc<Store>,
    orders: Orders,
    fence: Fence,
}

impl Steps<'_> {
    async fn take(&self, scratch: &Scratch, print: &mut impl FnMut(&str)) -> Result<Vec<Step>, TuneError> {
        let (from, to, limits) = (f64::from(self.args.from), f64::from(self.args.to), self.args.limits());
        let mut first_order = 0;
        let mut kept_from = 0;
        let mut steps: Vec<Step> = Vec::new();
        self.offer(from, WARM_UP, &mut first_order).await?;
        while let Some(rate) = knee::next_rate(&steps, from, to.max(from), limits) {
            if first_order - kept_from > ORDERS_KEPT_MAX {
                scratch.empty().await?;
                kept_from = first_order;
            }
            // Each rate has its own batch size, whose statements are prepared first.
            self.offer(rate, WARM_UP / 2, &mut first_order).await?;
            let step =
                self.offer(rate, Duration::from_secs(self.args.step_s.into()), &mut first_order).await?;
            steps.push(step);
            let base_ms = knee::base_ms(&steps).unwrap_or_default();
            print(&plot::line(&step, knee::judge(&step, base_ms, limits)));
        }
        Ok(steps)
    }

    async fn offer(&self, per_s: f64, length: Duration, first_order: &mut u64) -> Result<Step, TuneError> {
        let offer = Offer {
            per_s,
            length,
            writers: self.args.writers,
            batch_orders_max: self.args.transaction_orders_max,
            first_order: *first_order,
        };
        let (step, next) = load::offer(self.store, &self.orders, self.fence, offer).await?;
        *first_order = next;
        Ok(step)
    }
}
