//! The claims of `compare`, and the cases without one.

use loadtest::report::compare::{
    CompareSettings, Comparison, ComparisonOutcome, Finding, TestedMetric, compare,
};
use loadtest::report::{ExpectationResult, RunReport};
use loadtest::scenario::RatePhase;

use super::fixture::{Knobs, flash_sale};
use super::runs;

fn run(knobs: Knobs) -> RunReport {
    flash_sale(Knobs { noise: 0.02, ..knobs })
}

fn compared(a: &RunReport, b: &RunReport) -> Comparison {
    compare(a, b, CompareSettings::default())
}

#[track_caller]
fn tested<'a>(comparison: &'a Comparison, name: &str) -> &'a TestedMetric {
    comparison.tested.iter().find(|tested| tested.name == name).unwrap_or_else(|| panic!("no {name}"))
}

/// Metrics that are reported as changed.
fn claims(comparison: &Comparison) -> Vec<(&str, Finding)> {
    let changed =
        comparison.tested.iter().filter(|tested| matches!(tested.finding, Finding::Better | Finding::Worse));
    changed.map(|tested| (tested.name.as_str(), tested.finding)).collect()
}

#[test]
fn a_run_equals_itself() {
    for report in [runs::good(), runs::failed(), runs::external()] {
        let comparison = compared(&report, &report);
        assert!(comparison.tested.iter().all(|tested| tested.finding == Finding::NoChange), "{comparison}");
        assert!(comparison.tested.iter().all(|tested| tested.p == Some(1.0) && tested.change == Some(0.0)));
        assert_eq!(comparison.outcome, ComparisonOutcome::NothingWorse);
        assert!(comparison.scenario_differences.is_empty());
    }
    let names: Vec<_> =
        compared(&runs::good(), &runs::good()).tested.into_iter().map(|tested| tested.name).collect();
    assert_eq!(
        names,
        [
            "accepted_per_s",
            "shed_share",
            "p50_us",
            "p90_us",
            "p99_us",
            "committed_per_s",
            "cpu_us_per_accepted.broker",
            "cpu_us_per_committed.database",
            "cpu_us_per_committed.drain-worker",
            "cpu_us_per_accepted.ingest-fn",
            "cpu_us_per_accepted.loadtest",
        ]
    );
}

/// Pairs of runs that differ by 2 % of noise only.
fn alike() -> impl Iterator<Item = (RunReport, RunReport)> {
    (0..100).map(|seed| {
        (
            run(Knobs { seed: 2 * seed, ..Knobs::default() }),
            run(Knobs { seed: 2 * seed + 1, ..Knobs::default() }),
        )
    })
}

#[test]
fn noise_is_no_change() {
    for (a, b) in alike() {
        let comparison = compared(&a, &b);
        assert_eq!(claims(&comparison), [], "{comparison}");
        assert_eq!(comparison.outcome, ComparisonOutcome::NothingWorse);
    }
}

/// Even with a minimum effect of 0, claims from noise keep to the level: 5 of 100 comparisons; 12 is more than three
/// standard deviations beyond.
#[test]
fn false_claims_keep_to_the_level_without_a_least_effect() {
    let settings = CompareSettings { effect_min: 0.0, share_effect_min: 0.0, ..CompareSettings::default() };
    let wrong = alike().filter(|(a, b)| !claims(&compare(a, b, settings)).is_empty()).count();
    println!("{wrong} of 100 comparisons report a change where there is only noise");
    assert!(wrong <= 12, "{wrong} of 100");
}

/// Counts the comparisons of `tried` that report `name` as `finding`, by about `change`; no comparison reports anything
/// else.
fn found(tried: u64, knobs: Knobs, name: &str, finding: Finding, summary: &str, change: f64) -> usize {
    let plain = Knobs { p99: 1.0, cpu: 1.0, ..knobs };
    let claimed = |seed: u64| {
        let a = run(Knobs { seed: 1_000 + seed, ..plain });
        let b = run(Knobs { seed: 2_000 + seed, ..knobs });
        let comparison = compared(&a, &b);
        if claims(&comparison).is_empty() {
            return false;
        }
        assert_eq!(claims(&comparison), [(name, finding)], "{comparison}");
        let tested = tested(&comparison, name);
        assert_eq!(tested.summary, summary);
        assert!((tested.change.expect("a change") - change).abs() < 0.03, "{comparison}");
        assert_eq!(comparison.outcome == ComparisonOutcome::Worse, finding == Finding::Worse);
        true
    };
    (0..tried).filter(|seed| claimed(*seed)).count()
}

/// From 20 intervals in at least nine of ten comparisons, from 40 in all.
#[test]
fn a_change_of_20_percent_is_found_and_labelled() {
    let plain = Knobs::default();
    let cpu = "cpu_us_per_accepted.ingest-fn";
    for (interval_ms, tried, least) in [(1_000, 50, 45), (500, 20, 20)] {
        for (knobs, name, finding, summary, change) in [
            (Knobs { p99: 1.2, ..plain }, "p99_us", Finding::Worse, "slower", 0.2),
            (Knobs { p99: 0.8, ..plain }, "p99_us", Finding::Better, "faster", -0.2),
            (Knobs { cpu: 1.2, ..plain }, cpu, Finding::Worse, "costs more", 0.2),
            (Knobs { cpu: 0.8, ..plain }, cpu, Finding::Better, "costs less", -0.2),
        ] {
            let found = found(tried, Knobs { interval_ms, ..knobs }, name, finding, summary, change);
            println!("{interval_ms} ms, {name} {change:+}: found in {found} of {tried}");
            assert!(found >= least, "{interval_ms} ms, {name} {change:+}: found in {found} of {tried}");
        }
    }
}

#[test]
fn less_capacity_shows_as_fewer_accepted_and_more_shed() {
    let long = Knobs { interval_ms: 500, ..Knobs::default() };
    let a = run(Knobs { seed: 1, ..long });
    let b = run(Knobs { seed: 2, capacity: 0.7, ..long });
    let comparison = compared(&a, &b);
    assert_eq!(tested(&comparison, "shed_share").finding, Finding::Worse, "{comparison}");
    assert_eq!(tested(&comparison, "shed_share").summary, "sheds more");
    assert_eq!(tested(&comparison, "accepted_per_s").finding, Finding::Worse, "{comparison}");
    assert!(
        comparison.notes.iter().any(|note| note.contains("share of shed requests changed")),
        "{comparison}"
    );
}

#[test]
fn a_server_that_stops_accepting_is_slower() {
    let a = run(Knobs::default());
    let mut b = run(Knobs { seed: 1, ..Knobs::default() });
    for interval in &mut b.timeline {
        interval.unknown += std::mem::take(&mut interval.accepted);
    }
    assert_eq!(tested(&compared(&a, &b), "accepted_per_s").finding, Finding::Worse);
    assert_eq!(tested(&compared(&b, &a), "accepted_per_s").finding, Finding::Better);
}

#[test]
fn void_latencies_are_never_compared() {
    let mut slow = run(Knobs { p99: 3.0, ..Knobs::default() });
    slow.generator.latencies_valid = false;
    let good = run(Knobs { seed: 1, ..Knobs::default() });
    for (a, b, summary) in [
        (&good, &slow, "not compared: void in B"),
        (&slow, &good, "not compared: void in A"),
        (&slow, &slow, "not compared: void in both"),
    ] {
        let comparison = compared(a, b);
        for name in ["p50_us", "p90_us", "p99_us"] {
            let tested = tested(&comparison, name);
            assert_eq!((tested.finding, tested.summary.as_str()), (Finding::NotCompared, summary));
            assert_eq!((tested.a, tested.b, tested.p, tested.change), (None, None, None, None), "nor shown");
        }
        let p99 = comparison.informational.iter().find(|metric| metric.name == "accepted_p99_us");
        let valid = p99.map(|shown| (shown.a.is_some(), shown.b.is_some()));
        let expected = (a.generator.latencies_valid, b.generator.latencies_valid);
        assert_eq!(valid.unwrap_or_default(), expected);
        // Metrics that do not depend on the generator's punctuality are still compared.
        assert_eq!(tested(&comparison, "cpu_us_per_accepted.ingest-fn").finding, Finding::NoChange);
        assert_eq!(comparison.outcome, ComparisonOutcome::Incomplete);
    }
}

#[test]
fn different_scenarios_are_not_compared_and_the_difference_is_named() {
    let a = run(Knobs::default());
    let mut b = run(Knobs { seed: 1, p99: 2.0, ..Knobs::default() });
    b.scenario.drain.rate = 3_000;
    b.scenario.phases[2].rate = RatePhase::Constant { rps: 40_000.0, seconds: 9.0 };
    b.scenario.expect.clear();
    let comparison = compared(&a, &b);
    let differences: Vec<_> =
        comparison.scenario_differences.iter().map(|each| (each.parameter.as_str(), each.decisive)).collect();
    assert_eq!(
        differences,
        [
            ("drain.rate", true),
            ("expect.accepted_p99_us.max", false),
            ("expect.accepted_share.min", false),
            ("expect.committed_per_s_max.max", false),
            ("expect.committed_per_s_max.min", false),
            ("phases.2.rps", true),
        ]
    );
    assert!(comparison.tested.iter().all(|tested| tested.finding == Finding::NotCompared));
    assert_eq!(comparison.outcome, ComparisonOutcome::Incomplete);
    assert!(comparison.informational.iter().any(|metric| metric.name == "accepted"), "totals are shown");
}

#[test]
fn parameters_without_effect_on_the_load_may_differ() {
    let a = run(Knobs::default());
    let mut b = run(Knobs { seed: 1, p99: 1.3, ..Knobs::default() });
    b.scenario.name = "flash-sale-again".to_owned();
    b.scenario.description.clear();
    b.scenario.seed = 7;
    b.scenario.generator.threads = 1;
    b.scenario.phases[2].name = Some("top".to_owned());
    b.scenario.phases[2].expect.clear();
    let comparison = compared(&a, &b);
    assert_eq!(comparison.scenario_differences.len(), 6);
    assert_eq!(claims(&comparison), [("p99_us", Finding::Worse)]);
}

#[test]
fn few_intervals_make_no_claim() {
    let coarse = Knobs { interval_ms: 5_000, ..Knobs::default() };
    let a = run(coarse);
    let b = run(Knobs { seed: 1, p99: 3.0, ..coarse });
    let comparison = compared(&a, &b);
    let p99 = tested(&comparison, "p99_us");
    assert_eq!(
        (p99.pairs, p99.finding, p99.summary.as_str()),
        (4, Finding::TooFewIntervals, "too few intervals")
    );
    assert!(p99.a.is_some() && p99.b.is_some(), "the values are shown");
    assert_eq!(comparison.outcome, ComparisonOutcome::Incomplete);
}

#[test]
fn the_last_interval_of_an_interrupted_run_does_not_count() {
    let a = run(Knobs::default());
    let mut b = run(Knobs { seed: 1, ..Knobs::default() });
    b.timeline.truncate(12);
    b.run.interrupted = true;
    // The run ended within this interval.
    b.timeline[11].accepted /= 10;
    let comparison = compared(&a, &b);
    assert_eq!(tested(&comparison, "accepted_per_s").pairs, 11);
    assert!(
        comparison
            .notes
            .iter()
            .any(|note| note == "B was interrupted: only the intervals of both runs are compared")
    );
    assert_eq!(claims(&comparison), []);
}

#[test]
fn a_new_failure_is_worse_regardless_of_the_metrics() {
    let comparison = compared(&runs::good(), &runs::failed());
    assert_eq!(comparison.outcome, ComparisonOutcome::Worse);
    assert!(comparison.to_string().contains("WORSE: B failed where A did not."));
    assert_eq!(compared(&runs::failed(), &runs::good()).outcome, ComparisonOutcome::NothingWorse);
}

#[test]
fn swapping_the_runs_swaps_better_and_worse() {
    let a = run(Knobs::default());
    let b = run(Knobs { seed: 3, p99: 1.3, cpu: 0.7, capacity: 0.8, interval_ms: 1_000, ..Knobs::default() });
    let (forth, back) = (compared(&a, &b), compared(&b, &a));
    assert!(claims(&forth).len() >= 2, "{forth}");
    for (forth, back) in forth.tested.iter().zip(&back.tested) {
        let turned = match forth.finding {
            Finding::Better => Finding::Worse,
            Finding::Worse => Finding::Better,
            other => other,
        };
        assert_eq!(back.finding, turned, "{}", forth.name);
        assert_eq!(back.p, forth.p, "{}", forth.name);
    }
}

#[test]
fn a_run_that_was_not_judged_has_not_failed() {
    let a = runs::good();
    let mut b = a.clone();
    b.expectations[0].result = ExpectationResult::NotJudged;
    b.conclude();
    let comparison = compared(&a, &b);
    assert_ne!(comparison.outcome, ComparisonOutcome::Worse);
    assert!(comparison.to_string().contains(": not judged"), "{comparison}");
}
