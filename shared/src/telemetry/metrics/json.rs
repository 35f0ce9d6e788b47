//! Metrics as JSON, for a log line.

use std::sync::atomic::Ordering;

use serde_json::{Map, Value, json};

use super::Series;
use super::prometheus::Name;

/// Renders all series by kind and name.
pub(super) fn render(series: &Series) -> Value {
    let counters: Map<_, _> = series
        .counters
        .iter()
        .map(|(key, value)| (Name(key, "", None).to_string(), json!(value.load(Ordering::Relaxed))))
        .collect();
    let gauges: Map<_, _> = series
        .gauges
        .iter()
        .map(|(key, value)| {
            (Name(key, "", None).to_string(), json!(f64::from_bits(value.load(Ordering::Relaxed))))
        })
        .collect();
    let histograms: Map<_, _> = series
        .histograms
        .iter()
        .map(|(key, value)| {
            let snapshot = value.snapshot();
            let buckets: Map<_, _> =
                snapshot.buckets.iter().map(|(bound, samples)| (bound.to_string(), json!(samples))).collect();
            let value = json!({ "count": snapshot.count, "sum": snapshot.sum, "buckets": buckets });
            (Name(key, "", None).to_string(), value)
        })
        .collect();
    json!({ "counters": counters, "gauges": gauges, "histograms": histograms })
}
