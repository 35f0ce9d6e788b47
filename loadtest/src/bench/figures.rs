//! Medians and quantiles of a few figures.

use serde::Serialize;

/// The middle one; of an even number, the upper of the two in the middle.
#[must_use]
pub(super) fn median(figures: impl Iterator<Item = f64>) -> Option<f64> {
    let figures = sorted(figures);
    figures.get(figures.len() / 2).copied()
}

/// A median and what it lies between.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Spread {
    /// `None` of nothing.
    #[must_use]
    pub(super) fn of(figures: impl Iterator<Item = f64>) -> Option<Self> {
        let figures = sorted(figures);
        let (least, most) = (*figures.first()?, *figures.last()?);
        Some(Self { median: figures[figures.len() / 2], least, most })
    }
}

/// The figure that `quantile` of all do not exceed, by nearest rank.
#[must_use]
pub(super) fn quantile(figures: impl Iterator<Item = f64>, quantile: f64) -> Option<f64> {
    let figures = sorted(figures);
    let rank = (quantile * figures.len() as f64).ceil() as usize;
    figures.get(rank.max(1) - 1).copied()
}

fn sorted(figures: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut figures: Vec<_> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_quantiles_of_few_and_many() {
        let cases: [(&[f64], Option<f64>, Option<f64>); 4] = [
            (&[], None, None),
            (&[7.0], Some(7.0), Some(7.0)),
            (&[3.0, 1.0, 2.0], Some(2.0), Some(3.0)),
            (&[4.0, 1.0, 3.0, 2.0], Some(3.0), Some(4.0)),
        ];
        for (figures, middle, p95) in cases {
            assert_eq!(median(figures.iter().copied()), middle, "{figures:?}");
            assert_eq!(quantile(figures.iter().copied(), 0.95), p95, "{figures:?}");
            let spread = Spread::of(figures.iter().copied());
            assert_eq!(spread.map(|spread| spread.median), middle, "{figures:?}");
        }
        let hundred = || (1..=100).rev().map(f64::from);
        assert_eq!(quantile(hundred(), 0.95), Some(95.0));
        assert_eq!(quantile(hundred(), 0.0), Some(1.0));
        assert_eq!(Spread::of(hundred()), Some(Spread { median: 51.0, least: 1.0, most: 100.0 }));
    }
}
