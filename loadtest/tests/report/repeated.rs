//! The claims of `compare` about two groups of runs.

use loadtest::report::RunReport;
use loadtest::report::compare::{
    CompareSettings, ComparisonOutcome, Finding, RepeatedComparison, RepeatedMetric, compare_repeated,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, Normal};

use super::fixture::{Knobs, flash_sale};

/// Runs of one version, with 2 % of noise between the intervals and 5 % between the latencies of the runs.
fn group(first_seed: u64, count: u64, knobs: Knobs) -> Vec<RunReport> {
    let run = |seed: u64| {
        let mut report = flash_sale(Knobs { seed, noise: 0.02, ..knobs });
        let factor = Normal::new(knobs.p99, 0.05).expect("a law").sample(&mut StdRng::seed_from_u64(seed));
        let p99_us = &mut report.latency.accepted_or_censored.p99_us;
        *p99_us = (*p99_us as f64 * factor) as u64;
        report
    };
    (first_seed..first_seed + count).map(run).collect()
}

fn compared(before: &[RunReport], after: &[RunReport], only: &[&str]) -> RepeatedComparison {
    let only: Vec<_> = only.iter().map(|name| (*name).to_owned()).collect();
    compare_repeated(before, after, &only, CompareSettings::default()).expect("comparable")
}

#[track_caller]
fn metric<'a>(comparison: &'a RepeatedComparison, name: &str) -> &'a RepeatedMetric {
    comparison.metrics.iter().find(|metric| metric.name == name).unwrap_or_else(|| panic!("no {name}"))
}

fn claims(comparison: &RepeatedComparison) -> Vec<(&str, Finding)> {
    let changed = |metric: &&RepeatedMetric| matches!(metric.finding, Finding::Better | Finding::Worse);
    comparison.metrics.iter().filter(changed).map(|metric| (metric.name.as_str(), metric.finding)).collect()
}

const PLAIN: Knobs = Knobs { seed: 0, noise: 0.0, p99: 1.0, capacity: 1.0, cpu: 1.0, interval_ms: 1_000 };

#[test]
fn three_against_three_runs_prove_nothing() {
    let comparison = compared(&group(0, 3, PLAIN), &group(100, 3, Knobs { p99: 3.0, ..PLAIN }), &["p99_ms"]);
    let p99 = metric(&comparison, "p99_ms");
    assert_eq!(p99.finding, Finding::TooFewRuns);
    assert!((p99.p.expect("tested") - 0.1).abs() < 1e-12, "{comparison}");
    assert!(p99.shift.is_some() && p99.shift_min.is_none(), "{comparison}");
    assert_eq!(comparison.outcome, ComparisonOutcome::Incomplete);
    let note = &comparison.notes[0];
    for words in ["3 against 3 runs reach p = 0.100 at best", "needs 4 against 4 (p 0.029 at best)"] {
        assert!(note.contains(words), "{words}: {note}");
    }
}

#[test]
fn four_against_four_runs_prove_a_change_of_the_metric_that_was_chosen() {
    let comparison = compared(&group(0, 4, PLAIN), &group(100, 4, Knobs { p99: 1.5, ..PLAIN }), &["p99_ms"]);
    let p99 = metric(&comparison, "p99_ms");
    assert!((p99.p.expect("tested") - 2.0 / 70.0).abs() < 1e-12, "{comparison}");
    assert_eq!(claims(&comparison), [("p99_ms", Finding::Worse)], "{comparison}");
    let comparison = compared(&group(0, 4, PLAIN), &group(100, 4, Knobs { p99: 1.5, ..PLAIN }), &[]);
    assert_eq!(claims(&comparison), [], "too few for all metrics: {comparison}");
}

#[test]
fn a_change_between_groups_is_found_with_its_size() {
    let (before, after) = (group(0, 7, PLAIN), group(100, 7, Knobs { p99: 1.3, cpu: 0.7, ..PLAIN }));
    let comparison = compared(&before, &after, &[]);
    let found = [("cpu_us_per_accepted.ingest-fn", Finding::Better), ("p99_ms", Finding::Worse)];
    assert_eq!(claims(&comparison), found, "{comparison}");
    assert_eq!(comparison.outcome, ComparisonOutcome::Worse);
    let p99 = metric(&comparison, "p99_ms");
    let share = |shift: Option<f64>| shift.expect("a shift") / p99.before.expect("a median");
    let [low, typical, high] = [p99.shift_min, p99.shift, p99.shift_max].map(share);
    assert!(low < typical && typical < high && low > 0.1 && high < 0.5, "{comparison}");
    assert!((typical - 0.3).abs() < 0.08, "{comparison}");
    let back = compared(&after, &before, &[]);
    let turned = [("cpu_us_per_accepted.ingest-fn", Finding::Worse), ("p99_ms", Finding::Better)];
    assert_eq!(claims(&back), turned, "{back}");
    assert_eq!(metric(&back, "p99_ms").p, p99.p);
    // Nothing was dead-lettered or retried in any run: no metric to test.
    assert_eq!(metric(&comparison, "retries").summary, "the same in all runs");
}

/// Without a minimum effect, claims from noise keep to the level: 2 of 40 comparisons; 6 is three standard deviations
/// more.
#[test]
fn false_claims_between_groups_keep_to_the_level() {
    let settings = CompareSettings { effect_min: 0.0, share_effect_min: 0.0, ..CompareSettings::default() };
    let wrong = (0..40).filter(|index| {
        let (before, after) = (group(index * 20, 7, PLAIN), group(index * 20 + 10, 7, PLAIN));
        let comparison = compare_repeated(&before, &after, &[], settings).expect("comparable");
        !claims(&comparison).is_empty()
    });
    let wrong = wrong.count();
    println!("{wrong} of 40 comparisons of groups report a change where there is only noise");
    assert!(wrong <= 6, "{wrong} of 40");
}

#[test]
fn a_group_with_a_void_a_cut_or_another_run_is_not_compared() {
    let before = group(0, 4, PLAIN);
    let with = |change: fn(&mut RunReport)| {
        let mut after = group(100, 4, PLAIN);
        change(&mut after[1]);
        compared(&before, &after, &[])
    };
    let void = with(|report| report.generator.latencies_valid = false);
    assert_eq!(metric(&void, "p99_ms").summary, "not compared: void in 1 runs, repeat them");
    assert_eq!(metric(&void, "p99_ms").before, None);
    assert_ne!(metric(&void, "shed_share").finding, Finding::NotCompared);
    let cut = with(|report| report.run.interrupted = true);
    let other = with(|report| report.scenario.drain.rate = 1);
    for (comparison, summary) in
        [(cut, "not compared: 1 of 8 runs broke off"), (other, "not compared: different scenarios")]
    {
        assert!(comparison.metrics.iter().all(|metric| metric.summary == summary), "{comparison}");
        assert_eq!(comparison.outcome, ComparisonOutcome::Incomplete);
    }
}

#[test]
fn a_run_given_twice_and_an_unknown_metric_are_errors() {
    let (before, after) = (group(0, 2, PLAIN), group(0, 1, PLAIN));
    for (after, only, message) in [
        (&after[..], &[][..], "is given twice"),
        (&[], &[], "1 to 100 runs"),
        (
            &group(5, 1, PLAIN),
            &["luck".to_owned()],
            "no run has the metric `luck`; use one of accepted_share",
        ),
    ] {
        let error = compare_repeated(&before, after, only, CompareSettings::default()).expect_err(message);
        assert!(error.to_string().contains(message), "{error}");
    }
}
