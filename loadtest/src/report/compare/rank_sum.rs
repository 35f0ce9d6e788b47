//! The rank-sum test of Wilcoxon, Mann and Whitney for two groups of runs, and the shift between them.
//!
//! H. Mann and D. Whitney, "On a test of whether one of two random variables is stochastically larger than the other",
//! Annals of Mathematical Statistics 18 (1947). Every probability is exact, by counting all ways to deal the ranks.

use super::signed_rank::{doubled_ranks, median};

/// Maximum runs of a group: counting takes the cube of their number.
pub const RUNS_MAX: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankSum {
    /// Pairs of a value before and a smaller one after; equal ones count half.
    pub u: f64,
    /// Probability of a `u` at least that far from the middle, on either side, if both groups are alike.
    pub p: f64,
}

/// The shift from one group to the other (J. Hodges and E. Lehmann, 1963).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// Median of all differences between a value after and a value before.
    pub typical: f64,
    /// The shifts that the test does not reject; `None` if the groups are too small to reject any.
    pub interval: Option<(f64, f64)>,
}

/// Tests two groups of values, none NaN. Ties share their mean rank, and the probability is that of these ranks.
pub fn rank_sum(before: &[f64], after: &[f64]) -> RankSum {
    let ranks = doubled_ranks(&[before, after].concat());
    let sum: u64 = ranks.iter().take(before.len()).sum();
    let (ways, sum) = (ways(&ranks, before.len()), sum as usize);
    let share = |ways: &[f64], all: f64| ways.iter().sum::<f64>() / all;
    let all: f64 = ways.iter().sum();
    let tail = share(&ways[..=sum], all).min(share(&ways[sum..], all));
    let least = before.len() * (before.len() + 1);
    RankSum { u: sum.saturating_sub(least) as f64 / 2.0, p: (2.0 * tail).min(1.0) }
}

/// The Hodges–Lehmann shift with the interval of confidence 1 − `level`.
pub fn shift(before: &[f64], after: &[f64], level: f64) -> Shift {
    let mut differences: Vec<_> =
        after.iter().flat_map(|after| before.iter().map(move |before| after - before)).collect();
    let typical = median(&mut differences);
    let ranks: Vec<u64> = (1..=(before.len() + after.len()) as u64).map(|rank| 2 * rank).collect();
    let ways = ways(&ranks, before.len());
    let all: f64 = ways.iter().sum();
    // The smallest rank sum is that of u = 0; each further u adds 2.
    let least = before.len() * (before.len() + 1);
    let mut tail = 0.0;
    let rejected = ways.iter().skip(least).step_by(2).take_while(|ways| {
        tail += **ways;
        2.0 * tail / all < level
    });
    // The median has sorted them.
    let outside = rejected.count();
    let interval = (outside > 0 && 2 * outside <= differences.len())
        .then(|| (differences[outside - 1], differences[differences.len() - outside]));
    Shift { typical, interval }
}

/// The minimum probability that groups of these sizes can reach: all values of one on one side of the other.
pub fn least_p(before: usize, after: usize) -> f64 {
    let deals = (1..=before).fold(1.0, |deals, k| deals * (after + k) as f64 / k as f64);
    f64::min(2.0 / deals, 1.0)
}

/// The number of runs on each side from which `metrics` tests together can reach a probability below `level`; `None`:
/// more than [`RUNS_MAX`].
pub fn runs_needed(metrics: usize, level: f64) -> Option<usize> {
    (1..=RUNS_MAX).find(|runs| least_p(*runs, *runs) * (metrics as f64) < level)
}

/// At index s: the number of ways to choose `chosen` of the doubled `ranks` with the sum s.
fn ways(ranks: &[u64], chosen: usize) -> Vec<f64> {
    let sums = ranks.iter().sum::<u64>() as usize + 1;
    let mut ways = vec![vec![0.0; sums]; chosen + 1];
    ways[0][0] = 1.0;
    let mut reached = 0;
    for (index, rank) in ranks.iter().enumerate() {
        let rank = *rank as usize;
        for count in (0..chosen.min(index + 1)).rev() {
            let (fewer, more) = ways.split_at_mut(count + 1);
            for sum in 0..=reached {
                more[0][sum + rank] += fewer[count][sum];
            }
        }
        reached += rank;
    }
    ways.swap_remove(chosen)
}

#[cfg(test)]
mod tests;
