//! The timeline as CSV.

use std::fs;
use std::path::Path;

use anyhow::Context;

use super::{Interval, RunReport};

type Column = (&'static str, fn(&Interval) -> u64);

const COUNTS: [Column; 12] = [
    ("at_ms", |interval| interval.at_ms),
    ("length_ms", |interval| interval.length_ms),
    ("planned_requests", |interval| interval.planned),
    ("sent_requests", |interval| interval.sent),
    ("accepted_requests", |interval| interval.accepted),
    ("shed_requests", |interval| interval.shed),
    ("refused_requests", |interval| interval.refused),
    ("unknown_requests", |interval| interval.unknown),
    ("unsent_requests", |interval| interval.unsent),
    ("censored_requests", |interval| interval.censored),
    ("queued_orders", |interval| interval.queued),
    ("committed_orders", |interval| interval.committed),
];

const LATENCIES: [Column; 6] = [
    ("p50_us", |interval| interval.p50_us),
    ("p90_us", |interval| interval.p90_us),
    ("p99_us", |interval| interval.p99_us),
    ("max_us", |interval| interval.max_us),
    ("rejected_p50_us", |interval| interval.rejected_p50_us),
    ("rejected_p99_us", |interval| interval.rejected_p99_us),
];

/// One row per interval below a row of names with units. A latency's cell is empty without a value, and in the whole
/// file if latencies are void.
pub fn csv(report: &RunReport) -> String {
    let names: Vec<_> = COUNTS.iter().chain(&LATENCIES).map(|(name, _)| *name).collect();
    let mut csv = format!("{}\n", names.join(","));
    for interval in &report.timeline {
        let counts = COUNTS.iter().map(|(_, value)| value(interval).to_string());
        let latencies = LATENCIES.iter().map(|(_, value)| match value(interval) {
            us if us > 0 && report.generator.latencies_valid => us.to_string(),
            _ => String::new(),
        });
        csv.push_str(&counts.chain(latencies).collect::<Vec<_>>().join(","));
        csv.push('\n');
    }
    csv
}

/// # Errors
/// If the file cannot be written.
pub fn write_csv(report: &RunReport, path: &Path) -> anyhow::Result<()> {
    fs::write(path, csv(report)).with_context(|| format!("writing {}", path.display()))
}
