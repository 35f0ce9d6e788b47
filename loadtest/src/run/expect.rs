//! The scenario's expected ranges against the actual values.

use std::collections::BTreeMap;

use crate::ledger::{LedgerSource, LedgerVerdict};
use crate::report::{
    Expectation, ExpectationResult, GeneratorHealth, Interval, LatencyReport, Quantiles, RequestTotals,
};
use crate::scenario::{EXPECTABLE_METRICS, ExpectedRange, Scenario};

/// The measured metrics of a run, by the names in [`EXPECTABLE_METRICS`]: shares only if something was sent, latencies
/// only if something was accepted, the ledger's only with a ledger.
pub(crate) fn measure(
    totals: &RequestTotals,
    latency: &LatencyReport,
    health: &GeneratorHealth,
    timeline: &[Interval],
    ledger: Option<&LedgerVerdict>,
    rate: u32,
) -> BTreeMap<&'static str, f64> {
    let mut measured = measure_requests(totals, &latency.accepted_or_censored);
    let planned_sent = totals.sent.saturating_sub(totals.retries) as f64;
    measured.extend([
        ("sent_share", planned_sent / totals.planned.max(1) as f64),
        ("retries", totals.retries as f64),
    ]);
    if totals.sent > 0 {
        measured.insert("send_delay_p999_ms", ms(health.send_delay.p999_us));
    }
    // Look-ups show neither conflicts nor dead letters, and only a sample of the orders.
    if let Some(verdict) = ledger.filter(|verdict| verdict.source == LedgerSource::Database) {
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

/// The metrics that the run and each phase have, by the names in [`crate::scenario::PHASE_METRICS`].
///
/// `latency`: of accepted requests, and of those without a response with the time that they waited, so that a stall
/// cannot hide in time-outs.
fn measure_requests(totals: &RequestTotals, latency: &Quantiles) -> BTreeMap<&'static str, f64> {
    let mut measured = BTreeMap::new();
    if totals.sent > 0 {
        let share = |count: u64| count as f64 / totals.sent as f64;
        measured.extend([
            ("accepted_share", share(totals.accepted)),
            ("shed_share", share(totals.shed)),
            ("refused_share", share(totals.refused)),
            ("unknown_share", share(totals.unknown)),
        ]);
    }
    if totals.accepted > 0 {
        measured.extend([
            ("p50_ms", ms(latency.p50_us)),
            ("p99_ms", ms(latency.p99_us)),
            ("p999_ms", ms(latency.p999_us)),
        ]);
    }
    measured
}

fn ms(us: u64) -> f64 {
    us as f64 / 1_000.0
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

/// Compares the scenario's ranges with the values of the run and of its phases, a phase's under `METRIC@PHASE`.
/// `phases`: the requests of each phase, in order.
pub(super) fn compare_all(
    scenario: &Scenario,
    measured: &BTreeMap<&'static str, f64>,
    phases: impl Iterator<Item = Option<(RequestTotals, Quantiles)>>,
    latencies_valid: bool,
) -> Vec<Expectation> {
    let mut compared = compare(&scenario.expect, measured, latencies_valid);
    for (phase, requests) in scenario.phases.iter().zip(phases) {
        let measured = requests.map(|(totals, latency)| measure_requests(&totals, &latency));
        for mut expectation in compare(&phase.expect, &measured.unwrap_or_default(), latencies_valid) {
            expectation.name = format!("{}@{}", expectation.name, phase.name.as_deref().unwrap_or_default());
            compared.push(expectation);
        }
    }
    compared
}

/// Compares ranges with values. Metrics without a value are not judged, nor are latencies while they are void.
fn compare(
    ranges: &BTreeMap<String, ExpectedRange>,
    measured: &BTreeMap<&'static str, f64>,
    latencies_valid: bool,
) -> Vec<Expectation> {
    let mut compared = Vec::new();
    for (name, _) in EXPECTABLE_METRICS {
        let Some(range) = ranges.get(name) else { continue };
        let actual = measured.get(name).copied();
        let is_void = !latencies_valid && matches!(name, "p50_ms" | "p99_ms" | "p999_ms");
        let result = match actual {
            Some(actual) if !is_void => {
                if range.contains(actual) {
                    ExpectationResult::Holds
                } else {
                    ExpectationResult::Fails
                }
            }
            _ => ExpectationResult::NotJudged,
        };
        compared.push(Expectation { name: name.to_owned(), min: range.min, max: range.max, actual, result });
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
    fn ranges_include_both_ends_and_what_has_no_value_is_not_judged() {
        use ExpectationResult::{Fails, Holds, NotJudged};
        let measured = BTreeMap::from([("p99_ms", 30.0), ("shed_share", 0.0), ("retries", 5.0)]);
        for (name, range, valid, result) in [
            ("shed_share", range(None, Some(0.0)), true, Holds),
            ("retries", range(Some(5.0), Some(5.0)), true, Holds),
            ("retries", range(Some(5.1), None), true, Fails),
            ("p99_ms", range(None, Some(29.0)), true, Fails),
            ("p99_ms", range(None, Some(29.0)), false, NotJudged),
            ("p99_ms", range(None, Some(31.0)), false, NotJudged),
            ("confirmed", range(Some(1.0), None), true, NotJudged),
        ] {
            let compared = compare(&BTreeMap::from([(name.to_owned(), range)]), &measured, valid);
            assert_eq!(compared.len(), 1);
            assert_eq!(compared[0].result, result, "{compared:?}");
        }
    }

    #[test]
    fn every_metric_has_a_value_once_something_was_accepted() {
        let verdict = LedgerVerdict::default();
        let measured = |totals: &RequestTotals, ledger| {
            let (latency, health) = (LatencyReport::default(), GeneratorHealth::default());
            measure(totals, &latency, &health, &[], ledger, 2_000).into_keys().collect::<Vec<_>>()
        };
        let totals = RequestTotals { planned: 1, sent: 1, accepted: 1, ..RequestTotals::default() };
        let mut known = EXPECTABLE_METRICS.map(|(name, _)| name);
        known.sort_unstable();
        assert_eq!(measured(&totals, Some(&verdict)), known);
        assert_eq!(measured(&RequestTotals::default(), None), ["retries", "sent_share"]);
        let by_look_ups = LedgerVerdict { source: LedgerSource::LookUp, ..LedgerVerdict::default() };
        assert!(!measured(&totals, Some(&by_look_ups)).contains(&"dead_letters"));
    }

    #[test]
    fn a_phase_is_judged_by_its_own_requests() {
        use ExpectationResult::{Fails, Holds, NotJudged};
        let mut scenario = crate::scenario::load("flash-sale").expect("ships");
        scenario.expect = BTreeMap::from([("shed_share".to_owned(), range(None, Some(0.5)))]);
        let ranges = [("p99_ms", range(None, Some(20.0))), ("shed_share", range(None, Some(0.5)))];
        for phase in &mut scenario.phases {
            phase.expect = ranges.map(|(name, range)| (name.to_owned(), range)).into();
        }
        let measured = BTreeMap::from([("shed_share", 0.4), ("p99_ms", 500.0)]);
        let requests = |sent, accepted, p99_us| {
            let totals = RequestTotals { sent, accepted, shed: sent - accepted, ..RequestTotals::default() };
            Some((totals, Quantiles { p99_us, ..Quantiles::default() }))
        };
        let phases = [requests(10, 10, 9_000), requests(10, 1, 21_000), requests(4, 0, 0), requests(0, 0, 0)];
        let judged = |valid| -> Vec<(String, ExpectationResult)> {
            let compared = compare_all(&scenario, &measured, phases.clone().into_iter(), valid);
            compared.into_iter().map(|each| (each.name, each.result)).collect()
        };
        let expected = [
            ("shed_share", Holds, Holds),
            ("shed_share@quiet", Holds, Holds),
            ("p99_ms@quiet", Holds, NotJudged),
            ("shed_share@opening", Fails, Fails),
            ("p99_ms@opening", Fails, NotJudged),
            ("shed_share@peak", Fails, Fails),
            ("p99_ms@peak", NotJudged, NotJudged),
            ("shed_share@closing", NotJudged, NotJudged),
            ("p99_ms@closing", NotJudged, NotJudged),
        ];
        assert_eq!(judged(true), expected.map(|(name, valid, _)| (name.to_owned(), valid)));
        assert_eq!(judged(false), expected.map(|(name, _, void)| (name.to_owned(), void)));
        let (totals, latency) = requests(1, 1, 1).expect("requests");
        let mut known = crate::scenario::PHASE_METRICS;
        known.sort_unstable();
        assert_eq!(measure_requests(&totals, &latency).into_keys().collect::<Vec<_>>(), known);
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
