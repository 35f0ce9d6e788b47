//! A histogram with fixed buckets: a sample costs two atomic additions.

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::HistogramFn;

/// Sample counts by bucket.
#[derive(Debug)]
pub(super) struct Buckets {
    bounds: &'static [f64],
    /// Samples of each bucket, not cumulative; the last bucket has no bound.
    samples: Box<[AtomicU64]>,
    /// Bits of an `f64`.
    sum: AtomicU64,
}

/// A histogram's content. Not atomic: a concurrent sample may be in one member and not yet in another.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Snapshot {
    /// Each bound with the cumulative count.
    pub(super) buckets: Vec<(f64, u64)>,
    pub(super) count: u64,
    pub(super) sum: f64,
}

impl Buckets {
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        let samples = std::iter::repeat_with(AtomicU64::default).take(bounds.len() + 1).collect();
        Self { bounds, samples, sum: AtomicU64::new(0) }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let mut count = 0;
        let mut up_to = Vec::with_capacity(self.samples.len());
        for samples in &self.samples {
            count += samples.load(Ordering::Relaxed);
            up_to.push(count);
        }
        Snapshot {
            buckets: self.bounds.iter().copied().zip(up_to).collect(),
            count,
            sum: f64::from_bits(self.sum.load(Ordering::Relaxed)),
        }
    }
}

impl HistogramFn for Buckets {
    fn record(&self, value: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        if let Some(samples) = self.samples.get(bucket) {
            samples.fetch_add(1, Ordering::Relaxed);
        }
        let add = |sum: u64| Some((f64::from_bits(sum) + value).to_bits());
        let _always_some = self.sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}
