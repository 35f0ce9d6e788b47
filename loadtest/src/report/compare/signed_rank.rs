//! The Wilcoxon signed-rank test for pairs, with its corrections.
//!
//! F. Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1 (1945). It tests whether differences
//! lie around zero, assumes only that they are symmetric around their median, and no single extreme interval decides.

/// Maximum pairs for the exact probability; beyond, the normal approximation is as good.
const EXACT_MAX: usize = 50;

/// Beyond this number of standard deviations the approximation has no precision.
const Z_MAX: f64 = 9.0;

/// Maximum serial correlation used: at 1 a run would count as a single observation.
const CORRELATION_MAX: f64 = 0.95;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SignedRank {
    /// Rank sum of positive differences.
    pub positive: f64,
    /// Rank sum of negative differences.
    pub negative: f64,
    /// Probability of rank sums at least that far apart, on either side, without a change and with independent
    /// differences.
    pub p: f64,
}

/// Tests `differences` (one per pair, none NaN). Equal pairs keep their ranks and count for no side (J. W. Pratt,
/// 1959): dropping them would turn a change of a few intervals into one of all. Ties share their mean rank.
pub fn signed_rank(differences: &[f64]) -> SignedRank {
    let sizes: Vec<f64> = differences.iter().map(|difference| difference.abs()).collect();
    let ranks = doubled_ranks(&sizes);
    let sum = |sign: f64| -> u64 {
        let of_sign = differences.iter().zip(&ranks).filter(|(difference, _)| **difference * sign > 0.0);
        of_sign.map(|(_, rank)| *rank).sum()
    };
    let (positive, negative) = (sum(1.0), sum(-1.0));
    let unequal: Vec<u64> = differences
        .iter()
        .zip(&ranks)
        .filter(|(difference, _)| **difference != 0.0)
        .map(|(_, rank)| *rank)
        .collect();
    let p = if unequal.is_empty() {
        1.0
    } else if differences.len() <= EXACT_MAX {
        exact_p(&unequal, positive.min(negative))
    } else {
        normal_p(&unequal, positive.min(negative))
    };
    SignedRank { positive: positive as f64 / 2.0, negative: negative as f64 / 2.0, p }
}

/// Doubled ranks of `values`, so that means of two ranks are integers.
pub(super) fn doubled_ranks(values: &[f64]) -> Vec<u64> {
    let mut ranks = vec![0; values.len()];
    let mut before = 0;
    for tied in ascending(values).chunk_by(|a, b| values[*a] == values[*b]) {
        // Ranks count from 1: the tied ones share `before + 1` to `before + tied.len()`.
        for index in tied {
            ranks[*index] = 2 * before + tied.len() as u64 + 1;
        }
        before += tied.len() as u64;
    }
    ranks
}

/// Indices of `values`, in ascending order of the values.
fn ascending(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    order
}

/// The share of all sign assignments in which one side's sum is at most `least`.
fn exact_p(ranks: &[u64], least: u64) -> f64 {
    // ways[s]: the share of all assignments in which the positive ranks sum to s.
    let mut ways = vec![1.0];
    for rank in ranks {
        let rank = *rank as usize;
        let mut next = vec![0.0; ways.len() + rank];
        for (sum, share) in ways.iter().enumerate() {
            next[sum] += share / 2.0;
            next[sum + rank] += share / 2.0;
        }
        ways = next;
    }
    let tail: f64 = ways.iter().take(least as usize + 1).sum();
    (2.0 * tail).min(1.0)
}

fn normal_p(ranks: &[u64], least: u64) -> f64 {
    let mean = ranks.iter().sum::<u64>() as f64 / 2.0;
    let deviation = ranks.iter().map(|rank| (*rank as f64).powi(2)).sum::<f64>().sqrt() / 2.0;
    // Continuity correction of half a rank: ranks are doubled, so it is 1.
    two_sided((mean - least as f64 - 1.0) / deviation)
}

/// Corrects `p` for correlated neighbours. With lag-1 correlation r, n values say as much about their median as
/// n·(1−r)/(1+r) independent ones (the variance of an AR(1) series' mean), so the test's standard deviations shrink by
/// the root of that. A negative correlation does not strengthen a claim.
///
/// `segments` are the same differences, split where the load changes: a change that shows under load only is an
/// effect, not a correlation.
pub fn corrected_for_neighbours(p: f64, segments: &[Vec<f64>]) -> f64 {
    let r = neighbour_correlation(segments).clamp(0.0, CORRELATION_MAX);
    if r == 0.0 { p } else { two_sided(z_of(p) * ((1.0 - r) / (1.0 + r)).sqrt()).max(p) }
}

/// Correlation of each difference's rank with its neighbour's, each segment around its own median; ranks, so that no
/// extreme interval hides it. A short series underestimates it, so M. G. Kendall's correction (1954) is added.
fn neighbour_correlation(segments: &[Vec<f64>]) -> f64 {
    // Two values around their own median carry no information.
    let segments: Vec<_> = segments.iter().filter(|segment| segment.len() > 2).collect();
    let (mut together, mut variance, mut count) = (0.0, 0.0, 0.0);
    for segment in &segments {
        let ranks = centred_ranks(segment);
        variance += ranks.iter().map(|rank| rank * rank).sum::<f64>();
        together += ranks.windows(2).map(|pair| pair[0] * pair[1]).sum::<f64>();
        count += segment.len() as f64;
    }
    if variance == 0.0 {
        return 0.0;
    }
    let r = together / variance;
    r + (1.0 + 3.0 * r) * segments.len() as f64 / count
}

/// Ranks of `values`; the median rank is 0.
fn centred_ranks(values: &[f64]) -> Vec<f64> {
    let middle = (values.len() + 1) as f64 / 2.0;
    doubled_ranks(values).into_iter().map(|rank| rank as f64 / 2.0 - middle).collect()
}

/// The median of the means of all pairs of differences (Hodges and Lehmann, 1963): the effect size of this test. 0
/// without differences.
pub fn typical(differences: &[f64]) -> f64 {
    let mut means = Vec::with_capacity(differences.len() * (differences.len() + 1) / 2);
    for (index, first) in differences.iter().enumerate() {
        means.extend(differences[index..].iter().map(|second| f64::midpoint(*first, *second)));
    }
    median(&mut means)
}

/// 0 without values.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        count if count % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// S. Holm's correction (1979) for several tests. Comparing the results with a level keeps the probability of any false
/// claim below that level.
pub fn holm(probabilities: &[f64]) -> Vec<f64> {
    let mut corrected = vec![0.0; probabilities.len()];
    let mut least = 0.0_f64;
    for (place, index) in ascending(probabilities).into_iter().enumerate() {
        let factor = (probabilities.len() - place) as f64;
        least = least.max(probabilities[index] * factor).min(1.0);
        corrected[index] = least;
    }
    corrected
}

/// The minimum probability that `pairs` pairs can reach: all of them on one side.
pub fn least_p(pairs: usize) -> f64 {
    2.0 * 0.5_f64.powi(i32::try_from(pairs).unwrap_or(i32::MAX))
}

/// Probability of at least `z` standard deviations on either side of a normal distribution: M. Abramowitz and I.
/// Stegun, Handbook of Mathematical Functions (1964), 26.2.17, accurate to 7.5e-8.
fn two_sided(z: f64) -> f64 {
    if z <= 0.0 {
        return 1.0;
    }
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let polynomial = t
        * (0.319_381_530
            + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let density = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    (2.0 * density * polynomial).min(1.0)
}

/// The standard deviations of a two-sided probability: [`two_sided`], inverted by bisection.
fn z_of(p: f64) -> f64 {
    let (mut low, mut high) = (0.0, Z_MAX);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if two_sided(middle) > p { low = middle } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests;
