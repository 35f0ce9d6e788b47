//! Metrics that a run has once. A difference of two single values proves nothing, so they carry no claim.

use std::collections::BTreeSet;

use super::{InformationalMetric, MetricUnit};
use crate::report::{Quantiles, RunReport};

/// The metrics in reading order.
pub(super) fn metrics(a: &RunReport, b: &RunReport) -> Vec<InformationalMetric> {
    let mut metrics = Vec::new();
    let mut add = |name: &str, label: &str, unit: MetricUnit, value: &dyn Fn(&RunReport) -> Option<f64>| {
        let (a, b) = (value(a), value(b));
        if a.is_some() || b.is_some() {
            metrics.push(InformationalMetric { name: name.to_owned(), label: label.to_owned(), unit, a, b });
        }
    };
    add("planned", "requests planned", MetricUnit::Count, &|report| count(report.totals.planned));
    add("accepted", "accepted", MetricUnit::Count, &|report| count(report.totals.accepted));
    add("shed", "shed", MetricUnit::Count, &|report| count(report.totals.shed));
    add("refused", "refused", MetricUnit::Count, &|report| count(report.totals.refused));
    add("unknown", "unknown", MetricUnit::Count, &|report| count(report.totals.unknown));
    add("unsent", "never sent", MetricUnit::Count, &|report| count(report.totals.unsent));
    for (name, label, value) in latencies() {
        add(name, label, MetricUnit::Microseconds, &|report| {
            let latency = &report.latency.accepted;
            (report.generator.latencies_valid && latency.count > 0).then(|| value(latency) as f64)
        });
    }
    add("queued_max", "maximum orders queued", MetricUnit::Count, &|report| {
        count(report.timeline.iter().map(|interval| interval.queued).max()?).filter(|most| *most > 0.0)
    });
    add("drained_s", "last response to drained", MetricUnit::Seconds, &|report| {
        report.ledger.as_ref().map(|_| report.run.drained_ms as f64 / 1_000.0)
    });
    add("busiest_second", "maximum committed in a second", MetricUnit::Count, &|report| {
        report.ledger.as_ref().and_then(|ledger| count(ledger.busiest_second as u64))
    });
    add("send_delay_p999_us", "generator: send delay p99.9", MetricUnit::Microseconds, &|report| {
        (report.generator.send_delay.count > 0).then_some(report.generator.send_delay.p999_us as f64)
    });
    add("generator_cpu_us_per_request", "generator: CPU per request", MetricUnit::Microseconds, &|report| {
        Some(report.generator.cpu_us_per_request)
    });
    let names: BTreeSet<_> =
        a.processes.iter().chain(&b.processes).map(|process| process.name.clone()).collect();
    for name in names {
        add(
            &format!("rss_max_bytes.{name}"),
            &format!("maximum memory, {name}"),
            MetricUnit::Bytes,
            &|report| {
                let of_name = report.processes.iter().filter(|process| process.name == name);
                of_name.map(|process| process.rss_max_bytes as f64).reduce(|sum, bytes| sum + bytes)
            },
        );
    }
    metrics
}

/// A quantile's name, its label and its getter.
type NamedQuantile = (&'static str, &'static str, fn(&Quantiles) -> u64);

fn latencies() -> [NamedQuantile; 4] {
    [
        ("accepted_p50_us", "accepted, whole run: p50", |latency| latency.p50_us),
        ("accepted_p99_us", "accepted, whole run: p99", |latency| latency.p99_us),
        ("accepted_p999_us", "accepted, whole run: p99.9", |latency| latency.p999_us),
        ("accepted_max_us", "accepted, whole run: maximum", |latency| latency.max_us),
    ]
}

#[expect(clippy::unnecessary_wraps, reason = "the type of every metric's function")]
fn count(value: u64) -> Option<f64> {
    Some(value as f64)
}
