//! A recorder for the `metrics` facade: atomics, rendered as Prometheus text or as JSON.
//!
//! `metrics-exporter-prometheus` stores every sample of a histogram until a scrape or a background task collects it.
//! ingest-fn has neither: nothing scrapes it, and a frozen instance runs no task. This recorder adds a sample to its
//! bucket immediately, so its memory does not grow.

mod histogram;
mod json;
mod prometheus;
mod read;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use metrics::atomics::AtomicU64;
use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit, set_global_recorder,
};

use histogram::Buckets;

pub use read::{MetricSample, metric_samples};

/// Default bucket bounds of durations, seconds: from Function Compute's billing unit to the longest deadline.
const SECONDS: &[f64] =
    &[0.000_5, 0.001, 0.002, 0.003, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0, 10.0];

/// Every metric of a process, or of a test.
#[derive(Debug, Default)]
pub struct Metrics(RwLock<Series>);

/// Sorted, so that every rendering has the same order.
#[derive(Debug, Default)]
struct Series {
    counters: BTreeMap<Key, Arc<AtomicU64>>,
    gauges: BTreeMap<Key, Arc<AtomicU64>>,
    histograms: BTreeMap<Key, Arc<Buckets>>,
    descriptions: BTreeMap<String, SharedString>,
    bounds: BTreeMap<String, &'static [f64]>,
}

/// Returns the process's metrics; the first call installs the recorder.
///
/// Handles that were created before the first call record nothing: call this first.
pub fn metrics() -> &'static Metrics {
    static METRICS: OnceLock<Metrics> = OnceLock::new();
    static INSTALLED: OnceLock<()> = OnceLock::new();
    let metrics = METRICS.get_or_init(Metrics::default);
    INSTALLED.get_or_init(|| {
        // Fails only if the process has another recorder; then this one stays empty.
        let _already_set = set_global_recorder(metrics);
    });
    metrics
}

impl Metrics {
    /// Sets the bucket bounds of the histogram `name`, ascending. Call it before the first sample.
    pub fn set_buckets(&self, name: &str, bounds: &'static [f64]) {
        debug_assert!(bounds.is_sorted_by(|left, right| left < right), "{name}: bounds ascend");
        self.write().bounds.insert(name.to_owned(), bounds);
    }

    /// Renders all metrics in Prometheus' text format, version 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        prometheus::render(&self.read())
    }

    /// Renders all metrics as a JSON object: `counters`, `gauges` and `histograms`, each keyed by name and labels as in
    /// Prometheus' format. A histogram has `count`, `sum` and cumulative `buckets`, which can be summed over instances.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        json::render(&self.read())
    }

    fn read(&self) -> RwLockReadGuard<'_, Series> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Series> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn describe(&self, name: &KeyName, description: SharedString) {
        self.write().descriptions.insert(name.as_str().to_owned(), description);
    }

    /// Returns the value of `key`; registers it if it is new.
    fn registered<T>(
        &self,
        key: &Key,
        of: impl Fn(&Series) -> &BTreeMap<Key, Arc<T>>,
        add: impl FnOnce(&mut Series, Key) -> Arc<T>,
    ) -> Arc<T> {
        // Callers that do not store handles pay this look-up for each sample.
        if let Some(known) = of(&self.read()).get(key) {
            return known.clone();
        }
        let mut series = self.write();
        match of(&series).get(key) {
            Some(known) => known.clone(),
            None => add(&mut series, key.clone()),
        }
    }
}

impl Recorder for Metrics {
    fn describe_counter(&self, name: KeyName, _unit: Option<Unit>, description: SharedString) {
        self.describe(&name, description);
    }

    fn describe_gauge(&self, name: KeyName, _unit: Option<Unit>, description: SharedString) {
        self.describe(&name, description);
    }

    fn describe_histogram(&self, name: KeyName, _unit: Option<Unit>, description: SharedString) {
        self.describe(&name, description);
    }

    fn register_counter(&self, key: &Key, _metadata: &Metadata<'_>) -> Counter {
        let add = |series: &mut Series, key| series.counters.entry(key).or_default().clone();
        Counter::from_arc(self.registered(key, |series| &series.counters, add))
    }

    fn register_gauge(&self, key: &Key, _metadata: &Metadata<'_>) -> Gauge {
        let add = |series: &mut Series, key| series.gauges.entry(key).or_default().clone();
        Gauge::from_arc(self.registered(key, |series| &series.gauges, add))
    }

    fn register_histogram(&self, key: &Key, _metadata: &Metadata<'_>) -> Histogram {
        let add = |series: &mut Series, key: Key| {
            let bounds = series.bounds.get(key.name()).copied().unwrap_or(SECONDS);
            series.histograms.entry(key).or_insert_with(|| Arc::new(Buckets::new(bounds))).clone()
        };
        Histogram::from_arc(self.registered(key, |series| &series.histograms, add))
    }
}

#[cfg(test)]
mod tests {
    use metrics::{counter, describe_counter, describe_histogram, gauge, histogram, with_local_recorder};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn sample() -> Metrics {
        let recorder = Metrics::default();
        recorder.set_buckets("size", &[1.0, 10.0]);
        with_local_recorder(&recorder, || {
            describe_counter!("orders_total", "Orders,\nby \\outcome.");
            describe_histogram!("size", "Sizes.");
            counter!("orders_total", "outcome" => "sold \"out\"").increment(2);
            counter!("orders_total", "outcome" => "confirmed").increment(1);
            gauge!("in_flight").set(7.0);
            for size in [0.5, 1.0, 2.0, 100.0] {
                histogram!("size").record(size);
            }
        });
        recorder
    }

    #[test]
    fn prometheus_reads_it() {
        let expected = "\
# HELP orders_total Orders,\\nby \\\\outcome.
# TYPE orders_total counter
orders_total{outcome=\"confirmed\"} 1
orders_total{outcome=\"sold \\\"out\\\"\"} 2
# TYPE in_flight gauge
in_flight 7
# HELP size Sizes.
# TYPE size histogram
size_bucket{le=\"1\"} 2
size_bucket{le=\"10\"} 3
size_bucket{le=\"+Inf\"} 4
size_sum 103.5
size_count 4
";
        assert_eq!(sample().render(), expected);
    }

    #[test]
    fn the_same_is_there_as_json() {
        let expected = json!({
            "counters": { "orders_total{outcome=\"confirmed\"}": 1, "orders_total{outcome=\"sold \\\"out\\\"\"}": 2 },
            "gauges": { "in_flight": 7.0 },
            "histograms": { "size": { "count": 4, "sum": 103.5, "buckets": { "1": 2, "10": 3 } } }
        });
        assert_eq!(sample().to_json(), expected);
    }

    proptest! {
        #[test]
        fn a_sample_counts_in_every_bucket_that_holds_it(
            samples in proptest::collection::vec(prop_oneof![0.0..20.0, Just(1.0), Just(10.0)], 0..50),
        ) {
            let recorder = Metrics::default();
            recorder.set_buckets("size", &[1.0, 10.0]);
            let handle = with_local_recorder(&recorder, || histogram!("size"));
            for sample in &samples {
                handle.record(*sample);
            }
            let read = recorder.to_json()["histograms"]["size"].clone();
            let up_to = |bound: f64| samples.iter().filter(|sample| **sample <= bound).count();
            prop_assert_eq!(&read["buckets"], &json!({ "1": up_to(1.0), "10": up_to(10.0) }));
            prop_assert_eq!(&read["count"], &json!(samples.len()));
            let sum: f64 = samples.iter().sum();
            prop_assert!((read["sum"].as_f64().expect("a number") - sum).abs() < 1e-9);
        }
    }
}
