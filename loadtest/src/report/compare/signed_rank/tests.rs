use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

fn close(found: f64, expected: f64, within: f64) {
    assert!((found - expected).abs() <= within, "{found} is not {expected} ± {within}");
}

/// Reference values: the documentation of SciPy's `wilcoxon` (heights of maize, self- and cross-fertilised, C. Darwin)
/// and of R's `wilcox.test` (M. Hollander and D. Wolfe, depression before and after a therapy; R prints the one-sided
/// 0.01953).
#[test]
fn published_examples_are_reproduced() {
    let maize = [6.0, 8.0, 14.0, 16.0, 23.0, 24.0, 28.0, 29.0, 41.0, -48.0, 49.0, 56.0, 60.0, -67.0, 75.0];
    let tested = signed_rank(&maize);
    assert_eq!((tested.negative, tested.positive), (24.0, 96.0));
    close(tested.p, 0.041_259_765_625, 1e-12);

    let before = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30];
    #[expect(clippy::approx_constant, reason = "a depression scale, not a circle")]
    let after = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29];
    let differences: Vec<f64> = before.iter().zip(after).map(|(before, after)| before - after).collect();
    let tested = signed_rank(&differences);
    assert_eq!(tested.positive, 40.0);
    close(tested.p / 2.0, 0.019_531_25, 1e-12);
}

#[test]
fn few_pairs_have_an_exact_probability() {
    for (differences, p) in [
        (&[][..], 1.0),
        (&[0.0, 0.0], 1.0),
        (&[1.0], 1.0),
        (&[1.0, 2.0], 0.5),
        // All on one side: 2 / 2⁵.
        (&[1.0, 2.0, 3.0, 4.0, 5.0], 0.0625),
        (&[-1.0, -2.0, -3.0, -4.0, -5.0], 0.0625),
        // The smallest on the other side: 4 / 2⁵.
        (&[-1.0, 2.0, 3.0, 4.0, 5.0], 0.125),
        // All of one size: as often as five equal coins.
        (&[3.0, 3.0, 3.0, 3.0, 3.0], 0.0625),
        // Two equal pairs are no evidence: five others, as above.
        (&[0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0], 0.0625),
    ] {
        close(signed_rank(differences).p, p, 1e-12);
    }
    close(least_p(5), 0.0625, 1e-12);
}

#[test]
fn the_approximation_joins_the_exact_values_at_fifty_pairs() {
    for shift in [0.0, 0.05, 0.1, 0.2] {
        let mut random = StdRng::seed_from_u64(7);
        let differences: Vec<f64> = (0..EXACT_MAX).map(|_| random.random_range(-0.5..0.5) + shift).collect();
        let sizes: Vec<f64> = differences.iter().map(|difference| difference.abs()).collect();
        let ranks = doubled_ranks(&sizes);
        let exact = signed_rank(&differences);
        let least = (exact.positive.min(exact.negative) * 2.0) as u64;
        close(normal_p(&ranks, least), exact.p, 0.005);
    }
}

/// The 5 % points of the normal distribution's tables.
#[test]
fn the_normal_distribution_matches_the_tables() {
    for (z, p) in [(1.959_964, 0.05), (2.575_829, 0.01), (3.290_527, 0.001), (4.417_173, 0.000_01)] {
        close(two_sided(z), p, p * 1e-3);
        close(z_of(p), z, 1e-3);
    }
    assert_eq!(two_sided(0.0), 1.0);
}

#[test]
fn holm_multiplies_the_smallest_most_and_keeps_the_order() {
    // By hand: 4 × 0.005, 3 × 0.01, 2 × 0.03, and 0.04 may not fall below that.
    let corrected = holm(&[0.01, 0.04, 0.03, 0.005]);
    for (found, expected) in corrected.into_iter().zip([0.03, 0.06, 0.06, 0.02]) {
        close(found, expected, 1e-12);
    }
    assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
    assert!(holm(&[]).is_empty());
}

#[test]
fn one_extreme_value_does_not_move_the_typical_difference() {
    assert_eq!(typical(&[]), 0.0);
    assert_eq!(typical(&[3.0]), 3.0);
    assert_eq!(typical(&[1.0, 2.0, 3.0]), 2.0);
    close(typical(&[1.0, 1.1, 0.9, 1.0, 1_000.0]), 1.05, 1e-9);
}

/// Differences around zero without a change; each keeps `memory` of the previous one.
fn series(seed: u64, count: usize, memory: f64) -> Vec<f64> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut last = 0.0;
    (0..count + 20)
        .map(|_| {
            last = memory * last + random.random_range(-1.0..1.0);
            last
        })
        .skip(20)
        .collect()
}

/// The number of 400 unchanged series that are reported as changed at 5 %.
fn false_alarms(count: usize, memory: f64, corrected: bool) -> usize {
    let called = |seed: u64| {
        let differences = series(seed, count, memory);
        let p = signed_rank(&differences).p;
        (if corrected { corrected_for_neighbours(p, &[differences]) } else { p }) < 0.05
    };
    (0..400).filter(|seed| called(*seed)).count()
}

/// 5 % of 400 are 20; 34 are three standard deviations more.
#[test]
fn false_alarms_keep_to_the_level_with_independent_intervals() {
    for count in [12, 20, 60, 120] {
        let found = [false_alarms(count, 0.0, false), false_alarms(count, 0.0, true)];
        assert!(found[0] <= 34 && found[1] <= found[0], "{count} intervals: {found:?}");
    }
}

/// The correction is itself an estimate: from 20 intervals it removes half of the excess, from 60 nearly all of it.
#[test]
fn correlated_neighbours_are_not_counted_as_independent() {
    for (count, memory, most) in [(20, 0.5, 0.12), (60, 0.5, 0.08), (60, 0.7, 0.12), (120, 0.7, 0.08)] {
        let plain = false_alarms(count, memory, false) as f64 / 400.0;
        let corrected = false_alarms(count, memory, true) as f64 / 400.0;
        println!(
            "{count} intervals, memory {memory}: {plain} false alarms uncorrected, {corrected} corrected"
        );
        assert!(plain > 0.15 && corrected <= most, "{count}, {memory}: {plain}, {corrected}");
    }
}

#[test]
fn a_change_under_load_only_is_not_a_correlation() {
    let quiet: Vec<f64> = series(1, 30, 0.0).iter().map(|noise| noise * 0.01).collect();
    let loaded: Vec<f64> = series(2, 30, 0.0).iter().map(|noise| 0.2 + noise * 0.01).collect();
    let all = [quiet.clone(), loaded.clone()].concat();
    let p = signed_rank(&all).p;
    assert!(corrected_for_neighbours(p, &[quiet, loaded]) < 0.001);
    assert!(corrected_for_neighbours(p, &[all]) > 0.05, "as one segment it would look correlated");
}
