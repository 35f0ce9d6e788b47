use proptest::prelude::*;

use super::*;

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-12 * expected.abs().max(1.0), "{found} is not {expected}");
}

/// Values before, values after, u, p: SciPy 1.17.1, `mannwhitneyu(before, after, method="exact")`.
const SCIPY: [(&[f64], &[f64], f64, f64); 12] = [
    (&[9.198, 8.676, 9.752], &[19.42, 20.136, 19.11], 0.0, 0.1),
    (&[9.447, 9.215, 10.749, 11.635], &[19.273, 17.767, 18.042, 20.6], 0.0, 0.028_571_428_571_428_57),
    (&[10.203, 8.268], &[10.216, 9.137, 9.671, 9.812, 9.587], 4.0, 0.857_142_857_142_857_1),
    (
        &[10.553, 9.937, 9.411, 10.41, 10.83],
        &[9.357, 10.743, 10.019, 10.827, 9.711],
        14.0,
        0.841_269_841_269_841_3,
    ),
    (
        &[10.021, 9.962, 9.696, 8.952, 9.604],
        &[8.909, 8.645, 10.225, 8.891, 11.17],
        15.0,
        0.690_476_190_476_190_5,
    ),
    (
        &[10.717, 8.002, 10.272, 8.898, 10.033, 10.044],
        &[8.812, 10.567, 10.544, 11.762, 9.619, 11.538],
        11.0,
        0.309_523_809_523_809_53,
    ),
    (
        &[8.901, 9.669, 9.16, 11.449, 10.568, 12.432],
        &[9.642, 9.845, 9.841, 8.393],
        16.0,
        0.476_190_476_190_476_2,
    ),
    (
        &[9.93, 11.35, 9.603, 10.189, 9.979, 10.609, 9.635, 9.848],
        &[10.942, 10.803, 9.835, 11.596, 9.402, 9.499, 9.418, 11.667],
        32.0,
        1.0,
    ),
    (
        &[9.639, 9.029, 8.864, 10.421, 8.945, 8.728, 10.614, 8.803, 9.678, 9.993],
        &[10.055, 10.446, 11.839, 9.983, 9.241, 8.663, 10.295, 10.148, 10.765, 10.036],
        27.0,
        0.089_209_552_057_849_28,
    ),
    (
        &[9.521, 9.279, 9.48, 10.16, 9.62, 10.1, 11.901, 10.479, 8.424, 11.734, 10.348, 9.059],
        &[10.307, 9.418, 8.785, 8.766, 8.407, 9.448, 10.469],
        59.0,
        0.167_341_430_499_325_23,
    ),
    (
        &[
            9.675, 10.421, 11.876, 8.785, 10.258, 9.694, 8.941, 8.974, 9.985, 10.434, 9.468, 10.054, 10.722,
            10.297, 10.869,
        ],
        &[
            11.061, 11.088, 12.427, 11.223, 10.729, 11.31, 9.681, 10.262, 11.393, 11.231, 12.148, 10.61,
            9.138, 12.547, 11.693,
        ],
        40.0,
        0.001_962_950_413_338_222_4,
    ),
    (
        &[
            8.941, 11.376, 10.032, 8.186, 9.58, 9.491, 11.591, 9.208, 9.746, 9.723, 9.621, 9.086, 10.219,
            11.077, 10.624, 9.073, 8.85, 10.119, 9.293, 9.37,
        ],
        &[
            8.77, 12.4, 11.367, 9.476, 11.358, 11.792, 8.06, 9.901, 10.062, 11.098, 10.329, 10.22, 10.392,
            12.303, 12.61, 9.925, 9.524, 13.143, 9.47, 9.877,
        ],
        119.0,
        0.028_308_430_552_469_822,
    ),
];

#[test]
fn scipy_finds_the_same_probabilities() {
    for (before, after, u, p) in SCIPY {
        let tested = rank_sum(before, after);
        assert_eq!(tested.u, u, "{before:?}, {after:?}");
        close(tested.p, p);
    }
}

/// SciPy 1.17.1, `mannwhitneyu(before, after, method=PermutationMethod(n_resamples=numpy.inf))`: with ties too.
#[test]
fn ties_have_the_probability_of_their_own_ranks() {
    for (before, after, u, p) in [
        (&[1.0, 2.0, 2.0, 3.0][..], &[2.0, 3.0, 4.0, 4.0, 5.0][..], 2.5, 0.111_111_111_111_111_1),
        (&[0.0, 0.0, 0.0, 0.0], &[0.0, 0.0, 1.0, 2.0], 4.0, 0.428_571_428_571_428_55),
        (&[5.0, 5.0, 5.0], &[5.0, 5.0, 5.0], 4.5, 1.0),
        (&[1.0, 1.0, 2.0, 7.0, 7.0], &[1.0, 3.0, 7.0, 7.0], 8.0, 0.714_285_714_285_714_3),
    ] {
        let tested = rank_sum(before, after);
        assert_eq!(tested.u, u, "{before:?}, {after:?}");
        close(tested.p, p);
    }
}

/// Permeability constants of M. Hollander and D. Wolfe, as in the documentation of R's `wilcox.test`, which prints the
/// one-sided 0.1272; the book's estimate of the shift is −0.305.
#[test]
fn the_published_example_is_reproduced() {
    let at_term = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46];
    let early = [1.15, 0.88, 0.90, 0.74, 1.21];
    let tested = rank_sum(&at_term, &early);
    assert_eq!(tested.u, 35.0);
    assert!((tested.p / 2.0 - 0.1272).abs() < 5e-5, "{tested:?}");
    close(shift(&at_term, &early, 0.05).typical, -0.305);
}

/// The published critical values of U, two-sided at 5 %: a U of at most that is rejected.
#[test]
fn the_interval_leaves_out_what_the_tables_reject() {
    for (runs, critical) in [(4, 0), (5, 2), (6, 5), (7, 8), (8, 13), (9, 17), (10, 23), (15, 64), (20, 127)]
    {
        // The differences are all integers from −n·(n−1) to n−1, each once.
        let n = f64::from(runs);
        let before: Vec<_> = (0..runs).map(|index| f64::from(index) * n).collect();
        let after: Vec<_> = (0..runs).map(f64::from).collect();
        let outside = f64::from(critical);
        let expected = (outside - n * (n - 1.0), n - 1.0 - outside);
        assert_eq!(shift(&before, &after, 0.05).interval, Some(expected), "{runs} runs");
    }
    assert_eq!(shift(&[1.0, 2.0, 3.0], &[7.0, 8.0, 9.0], 0.05), Shift { typical: 6.0, interval: None });
}

#[test]
fn three_against_three_runs_prove_nothing_and_four_suffice_for_one_metric() {
    close(least_p(3, 3), 0.1);
    close(least_p(4, 4), 2.0 / 70.0);
    close(least_p(6, 6), 2.0 / 924.0);
    close(least_p(1, 1), 1.0);
    assert_eq!(runs_needed(1, 0.05), Some(4));
    assert_eq!(runs_needed(2, 0.05), Some(5));
    assert_eq!(runs_needed(10, 0.05), Some(6));
    assert_eq!(runs_needed(1, 0.0), None);
}

fn group() -> impl Strategy<Value = Vec<f64>> {
    // Steps of a quarter: ties are frequent, and sums are exact.
    prop::collection::vec((-40..40_i32).prop_map(|value| f64::from(value) / 4.0), 1..9)
}

proptest! {
    #[test]
    fn the_groups_and_the_scale_are_interchangeable(before in group(), after in group()) {
        let tested = rank_sum(&before, &after);
        let swapped = rank_sum(&after, &before);
        prop_assert!((tested.p - swapped.p).abs() < 1e-12);
        prop_assert_eq!(tested.u + swapped.u, (before.len() * after.len()) as f64);
        prop_assert!(tested.p >= least_p(before.len(), after.len()) - 1e-12 && tested.p <= 1.0);
        let ascending = |values: &[f64]| values.iter().map(|value| value.exp()).collect::<Vec<_>>();
        prop_assert_eq!(rank_sum(&ascending(&before), &ascending(&after)), tested);
        let descending = |values: &[f64]| values.iter().map(|value| 1.0 - value).collect::<Vec<_>>();
        prop_assert!((rank_sum(&descending(&before), &descending(&after)).p - tested.p).abs() < 1e-12);
    }

    /// The definition of the interval: it contains the shifts after which the groups do not differ.
    #[test]
    fn the_interval_holds_exactly_the_shifts_that_the_test_does_not_reject(
        before in prop::collection::hash_set(0..10_000_u32, 4..9),
        after in prop::collection::hash_set(0..10_000_u32, 4..9),
        moved in -5_000..5_000_i32,
    ) {
        let before: Vec<_> = before.into_iter().map(f64::from).collect();
        let after: Vec<_> = after.into_iter().map(f64::from).collect();
        // Half a step away, no difference is 0 and no rank is tied.
        let moved = f64::from(moved) + 0.5;
        let back: Vec<_> = after.iter().map(|value| value - moved).collect();
        let (low, high) = shift(&before, &after, 0.05).interval.expect("large enough");
        prop_assert_eq!(low < moved && moved < high, rank_sum(&before, &back).p >= 0.05);
        let there = shift(&before, &back, 0.05);
        prop_assert!((there.typical + moved - shift(&before, &after, 0.05).typical).abs() < 1e-9);
    }
}
