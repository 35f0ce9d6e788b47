//! The rules by the published figures, and whatever happens.

mod events;
mod figures;
mod model;
mod properties;

use std::time::Duration;

use super::{Delivery, Nanos, Rules};

const SECOND: Nanos = 1_000_000_000;
const MS: Nanos = 1_000_000;

/// Small rules that are easy to fill: two requests an instance, three instances, all at once.
fn small() -> Rules {
    Rules {
        concurrency: 2,
        instances_max: 3,
        delivery: Delivery { burst: 3, per_min: 60 },
        compute: None,
        idle_linger: Duration::from_secs(60),
        freeze_after_idle: Some(Duration::from_secs(1)),
        provisioned: Vec::new(),
        provisioned_always_cpu: true,
    }
}
