//! The scenario's expected ranges against the actual values.

use std::collections::BTreeMap;

use crate::ledger::LedgerVerdict;
use crate::report::{Expectation, GeneratorHealth, Interval, LatencyReport, RequestTotals};
use crate::scenario::{EXPECTABLE_METRICS, ExpectedRange};

/// All metrics of a run, by the names in [`EXPECTABLE_METRICS`]. The ledger's metrics are absent without a ledger.
pub(super) fn measure(
    totals: &RequestTotals,
    latency: &LatencyReport,
    health: &GeneratorHealth,
    timeline: &[Interval],
    ledger: Option<&LedgerVerdict>,
    rate: u32,
) -> BTreeMap<&'static str, f64> {
    let share = |count: u64| count as f64 / totals.sent.max(1) as f64;
    let ms = |us: u64| us as f64 / 1_000.0;
    let planned_sent = totals.sent.saturating_sub(totals.retries) as f64;
    let mut measured = BTreeMap::from([
        ("sent_share", planned_sent / totals.planned.max(1) as f64),
        ("accepted_share", share(totals.accepted)),
        ("shed_share", share(totals.shed)),
        ("refused_share", share(totals.refused)),
        ("unknown_share", share(totals.unknown)),
        ("retries", totals.retries as f64),
        ("p50_ms", ms(latency.accepted.p50_us)),
        ("p99_ms", ms(latency.accepted.p99_us)),
        ("p999_ms", ms(latency.accepted.p999_us)),
        ("slip_p999_ms", ms(health.slip.p999_us)),
    ]);
    if let Some(verdict) = ledger {
        let rejected = |reason| verdict.rejected.get(reason).copied().unwrap_or_default() as f64;
        measured.extend([
            ("confirmed", verdict.confirmed as f64),
            ("sold_out", rejected("sold_out")),
            ("limit_exceeded", rejected("limit_exceeded")),
            ("conflicts", verdict.conflicts as f64),
            ("dead_letters", verdict.dead_letters as f64),
            ("cap_use", cap_use(timeline, rate)),
        ]);
    }
    measured
}

/// Orders decided while the queue held more than a second's orders, as a share of what the cap allowed meanwhile; 0 if
/// the queue was never so long.
///
/// The cap counts whole seconds: a second's orders may all be committed in its first half. So for each run of intervals
/// that begin and end with such a queue, all touched seconds count.
fn cap_use(timeline: &[Interval], rate: u32) -> f64 {
    let is_full = |pair: &[Interval]| pair.iter().all(|interval| interval.queued >= u64::from(rate));
    let (mut committed, mut seconds) = (0, 0);
    for full_intervals in
        timeline.windows(2).collect::<Vec<_>>().chunk_by(|one, other| is_full(one) == is_full(other))
    {
        if full_intervals.first().is_some_and(|pair| is_full(pair)) {
            committed += full_intervals.iter().map(|pair| pair[1].committed).sum::<u64>();
            seconds += full_intervals.iter().map(|pair| pair[1].length_ms).sum::<u64>().div_ceil(1_000);
        }
    }
    if seconds == 0 { 0.0 } else { committed as f64 / (seconds as f64 * f64::from(rate)) }
}

/// Compares ranges with values. Unmeasured metrics are skipped; latencies always hold while they are void.
pub(super) fn compare(
    ranges: &BTreeMap<String, ExpectedRange>,
    measured: &BTreeMap<&'static str, f64>,
    latencies_valid: bool,
) -> Vec<Expectation> {
    let mut compared = Vec::new();
    for (name, _) in EXPECTABLE_METRICS {
        let (Some(range), Some(actual)) = (ranges.get(name), measured.get(name)) else { continue };
        let latency = matches!(name, "p50_ms" | "p99_ms" | "p999_ms");
        let within = range.min.is_none_or(|min| *actual >= min) && range.max.is_none_or(|max| *actual <= max);
        compared.push(Expectation {
            name: name.to_owned(),
            min: range.min,
            max: range.max,
            actual: *actual,
            holds: within || (latency && !latencies_valid),
        });
    }
    compared
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(min: Option<f64>, max: Option<f64>) -> ExpectedRange {
        ExpectedRange { min, max }
    }

    #[test]
    fn ranges_include_both_ends_and_void_latencies_hold() {
        let measured = BTreeMap::from([("p99_ms", 30.0), ("shed_share", 0.0), ("retries", 5.0)]);
        let cases = [
            ("shed_share", range(None, Some(0.0)), true, true),
            ("retries", range(Some(5.0), Some(5.0)), true, true),
            ("retries", range(Some(5.1), None), true, false),
            ("p99_ms", range(None, Some(29.0)), true, false),
            ("p99_ms", range(None, Some(29.0)), false, true),
        ];
        for (name, range, valid, holds) in cases {
            let compared = compare(&BTreeMap::from([(name.to_owned(), range)]), &measured, valid);
            assert_eq!(compared.len(), 1);
            assert_eq!(compared[0].holds, holds, "{compared:?}");
        }
        let unmeasured = BTreeMap::from([("confirmed".to_owned(), range(Some(1.0), None))]);
        assert!(compare(&unmeasured, &measured, true).is_empty(), "without a ledger it has no value");
    }

    #[test]
    fn every_metric_has_a_value() {
        let verdict = LedgerVerdict::default();
        let (totals, latency) = (RequestTotals::default(), LatencyReport::default());
        let measured = measure(&totals, &latency, &GeneratorHealth::default(), &[], Some(&verdict), 2_000);
        let names: Vec<_> = measured.keys().copied().collect();
        let mut known = EXPECTABLE_METRICS.map(|(name, _)| name);
        known.sort_unstable();
        assert_eq!(names, known);
    }

    #[test]
    fn cap_use_counts_only_while_there_is_a_queue() {
        let interval =
            |queued, committed| Interval { queued, committed, length_ms: 500, ..Interval::default() };
        let timeline = [interval(5_000, 0), interval(4_000, 900), interval(3_000, 1_000), interval(10, 700)];
        assert!((cap_use(&timeline, 2_000) - 0.95).abs() < 1e-9);
        assert!(cap_use(&timeline[3..], 2_000).abs() < 1e-9);
        // Half a second may hold all of its second's orders, and the next run of intervals has its own.
        let timeline = [
            interval(3_000, 0),
            interval(3_000, 1_768),
            interval(10, 900),
            interval(3_000, 700),
            interval(3_000, 1_232),
        ];
        assert!((cap_use(&timeline, 3_000) - 0.5).abs() < 1e-9);
    }
}
