//! The rules against the published figures, and invariants under random events.

#![allow(clippy::expect_used, reason = "expect() messages state the expectation")]

mod events;
mod model;
mod properties;
mod published;

use std::time::Duration;

use fc_model::{DeliveryRate, Nanos, PlatformRules};

const SECOND: Nanos = 1_000_000_000;
const MS: Nanos = 1_000_000;

/// Small limits: two requests per instance, three instances, no delivery bound.
fn small() -> PlatformRules {
    PlatformRules {
        concurrency: 2,
        instances_max: 3,
        delivery: DeliveryRate { burst: 3, per_min: 60 },
        compute: None,
        idle_linger: Duration::from_secs(60),
        freeze_after_idle: Some(Duration::from_secs(1)),
        provisioned: Vec::new(),
        provisioned_always_cpu: true,
    }
}
