//! Ends a run whose live metrics stay outside a range.

use std::collections::BTreeMap;

use super::window::LiveWindow;
use crate::report::AbortedRun;
use crate::scenario::{AbortRange, Scenario};

/// The scenario's `[abort]`, and since when each metric is outside its range.
#[derive(Debug)]
pub(super) struct AbortWatch {
    rules: Vec<AbortRule>,
    send_delay_us_max: u32,
}

#[derive(Debug)]
struct AbortRule {
    metric: String,
    range: AbortRange,
    /// Start of the first window of the breach, seconds since the first planned request.
    since_s: Option<f64>,
}

impl AbortWatch {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let send_delay_us_max = scenario.generator.send_delay_p999_us_max;
        Self { rules: rules(&scenario.abort), send_delay_us_max }
    }

    /// Judges the next window; `Some`: a breach has lasted long enough.
    pub(super) fn judge(&mut self, window: &LiveWindow) -> Option<AbortedRun> {
        let bound = self.send_delay_us_max;
        judge(&mut self.rules, window.from_s, window.until_s, |metric| window.metric(metric, bound))
    }
}

fn rules(abort: &BTreeMap<String, AbortRange>) -> Vec<AbortRule> {
    let rules = abort.iter();
    rules.map(|(metric, range)| AbortRule { metric: metric.clone(), range: *range, since_s: None }).collect()
}

/// A value within the range ends a breach; a window without a value neither ends nor prolongs it.
fn judge(
    rules: &mut [AbortRule],
    from_s: f64,
    until_s: f64,
    value: impl Fn(&str) -> Option<f64>,
) -> Option<AbortedRun> {
    let mut aborted = None;
    for rule in rules {
        let Some(value) = value(&rule.metric) else { continue };
        if rule.range.range().contains(value) {
            rule.since_s = None;
            continue;
        }
        let since_s = *rule.since_s.get_or_insert(from_s);
        if until_s - since_s >= rule.range.for_s && aborted.is_none() {
            aborted = Some(AbortedRun {
                metric: rule.metric.clone(),
                min: rule.range.min,
                max: rule.range.max,
                value,
                breached_s: until_s - since_s,
                at_ms: (until_s * 1_000.0) as u64,
            });
        }
    }
    aborted
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The second after which a run whose windows of a second have `values` is aborted, and the value.
    fn aborted(max: f64, for_s: f64, values: &[Option<f64>]) -> Option<(u64, f64)> {
        let range = AbortRange { min: None, max: Some(max), for_s };
        let abort = BTreeMap::from([("shed_share".to_owned(), range)]);
        let mut rules = rules(&abort);
        let mut windows = (0..).map(f64::from).zip(values);
        windows
            .find_map(|(from_s, value)| judge(&mut rules, from_s, from_s + 1.0, |_| *value))
            .map(|aborted| (aborted.at_ms, aborted.value))
    }

    #[test]
    fn a_breach_that_lasts_aborts() {
        let [good, bad, worse, none] = [Some(0.5), Some(0.6), Some(0.9), None];
        for (for_s, values, expected) in [
            (0.0, &[good, good][..], None),
            (0.0, &[], None),
            // The end of the range is within it.
            (0.0, &[good, bad], Some((2_000, 0.6))),
            (1.0, &[bad], Some((1_000, 0.6))),
            (1.5, &[bad], None),
            (3.0, &[good, bad, bad, worse], Some((4_000, 0.9))),
            (3.0, &[bad, bad, good, bad, bad], None),
            (3.0, &[bad, bad, good, bad, bad, bad], Some((6_000, 0.6))),
            // Without an answer the breach goes on, and is found at the next one.
            (3.0, &[bad, none, none, none], None),
            (3.0, &[bad, none, none, worse], Some((4_000, 0.9))),
            (3.0, &[bad, none, good, bad, bad], None),
            (3.0, &[none, none, none, bad], None),
        ] {
            assert_eq!(aborted(0.5, for_s, values), expected, "{for_s} s of {values:?}");
        }
    }

    #[test]
    fn each_metric_has_its_own_breach_and_the_report_names_the_one() {
        let range = |min, max, for_s| AbortRange { min, max, for_s };
        let abort = BTreeMap::from([
            ("accepted_share".to_owned(), range(Some(0.9), None, 5.0)),
            ("p99_ms".to_owned(), range(None, Some(100.0), 2.0)),
        ]);
        let mut rules = rules(&abort);
        let values = |accepted: f64, p99_ms: f64| {
            move |metric: &str| Some(if metric == "p99_ms" { p99_ms } else { accepted })
        };
        assert_eq!(judge(&mut rules, 0.0, 1.5, values(0.5, 1.0)), None);
        assert_eq!(judge(&mut rules, 1.5, 2.5, values(0.5, 300.0)), None);
        let aborted = judge(&mut rules, 2.5, 3.75, values(0.5, 200.0)).expect("aborted");
        assert_eq!((aborted.metric.as_str(), aborted.value, aborted.at_ms), ("p99_ms", 200.0, 3_750));
        assert_eq!((aborted.min, aborted.max, aborted.breached_s), (None, Some(100.0), 2.25));
        let named = aborted.to_string();
        assert_eq!(named, "p99_ms was 200.0000 at 3.8 s, outside ..100 for 2.2 s");
    }
}
