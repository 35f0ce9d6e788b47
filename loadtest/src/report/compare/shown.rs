//! Figures that a run has once: a difference of two single values proves nothing, so they come without a claim.

use std::collections::BTreeSet;

use super::{Shown, Unit};
use crate::report::{Quantiles, Report};

/// The figures, in the order in which they are read.
pub(super) fn figures(a: &Report, b: &Report) -> Vec<Shown> {
    let mut shown = Vec::new();
    let mut add = |name: &str, label: &str, unit: Unit, value: &dyn Fn(&Report) -> Option<f64>| {
        let (a, b) = (value(a), value(b));
        if a.is_some() || b.is_some() {
            shown.push(Shown { name: name.to_owned(), label: label.to_owned(), unit, a, b });
        }
    };
    add("planned", "requests planned", Unit::Count, &|report| count(report.totals.planned));
    add("accepted", "accepted", Unit::Count, &|report| count(report.totals.accepted));
    add("shed", "shed", Unit::Count, &|report| count(report.totals.shed));
    add("refused", "refused", Unit::Count, &|report| count(report.totals.refused));
    add("unknown", "unknown", Unit::Count, &|report| count(report.totals.unknown));
    add("unsent", "never sent", Unit::Count, &|report| count(report.totals.unsent));
    for (name, label, value) in latencies() {
        add(name, label, Unit::Microseconds, &|report| {
            let latency = &report.latency.accepted;
            (report.generator.latencies_valid && latency.count > 0).then(|| value(latency) as f64)
        });
    }
    add("queued_max", "most orders queued", Unit::Count, &|report| {
        count(report.timeline.iter().map(|interval| interval.queued).max()?).filter(|most| *most > 0.0)
    });
    add("drained_s", "last answer to drained", Unit::Seconds, &|report| {
        report.ledger.as_ref().map(|_| report.run.drained_ms as f64 / 1_000.0)
    });
    add("busiest_second", "most committed in a second", Unit::Count, &|report| {
        report.ledger.as_ref().and_then(|ledger| count(ledger.busiest_second as u64))
    });
    add("slip_p999_us", "generator: slip p99.9", Unit::Microseconds, &|report| {
        (report.generator.slip.count > 0).then_some(report.generator.slip.p999_us as f64)
    });
    add("generator_cpu_us_per_request", "generator: CPU per request", Unit::Microseconds, &|report| {
        Some(report.generator.cpu_us_per_request)
    });
    let names: BTreeSet<_> =
        a.processes.iter().chain(&b.processes).map(|process| process.name.clone()).collect();
    for name in names {
        add(&format!("rss_max_bytes.{name}"), &format!("most memory, {name}"), Unit::Bytes, &|report| {
            let of_name = report.processes.iter().filter(|process| process.name == name);
            of_name.map(|process| process.rss_max_bytes as f64).reduce(|sum, bytes| sum + bytes)
        });
    }
    shown
}

/// A quantile's name, what people call it, and where it stands.
type Quantile = (&'static str, &'static str, fn(&Quantiles) -> u64);

fn latencies() -> [Quantile; 4] {
    [
        ("accepted_p50_us", "accepted, whole run: p50", |latency| latency.p50_us),
        ("accepted_p99_us", "accepted, whole run: p99", |latency| latency.p99_us),
        ("accepted_p999_us", "accepted, whole run: p99.9", |latency| latency.p999_us),
        ("accepted_max_us", "accepted, whole run: longest", |latency| latency.max_us),
    ]
}

#[expect(clippy::unnecessary_wraps, reason = "the shape that every figure's function has")]
fn count(value: u64) -> Option<f64> {
    Some(value as f64)
}
