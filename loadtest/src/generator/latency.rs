//! Histograms of latencies.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::histogram_text;

/// Maximum latency of a histogram, microseconds; larger than any time-out with retries.
const LATENCY_US_MAX: u64 = 3_600_000_000;

/// Latencies of which some are only lower bounds, because the request had no response.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct CensoredLatency<Count: hdrhistogram::Counter> {
    #[serde(with = "histogram_text")]
    pub(super) latency: Histogram<Count>,
    pub(super) censored: u64,
}

impl<Count: hdrhistogram::Counter> CensoredLatency<Count> {
    pub(super) const fn new(latency: Histogram<Count>) -> Self {
        Self { latency, censored: 0 }
    }

    pub(super) fn record(&mut self, latency_us: u64, censored: bool) {
        // The caller's bound is the histogram's, or it grows.
        let _recorded = self.latency.record(latency_us.min(LATENCY_US_MAX));
        self.censored += u64::from(censored);
    }

    pub(super) fn merge(&mut self, other: &Self) -> anyhow::Result<()> {
        self.latency.add(&other.latency)?;
        self.censored += other.censored;
        Ok(())
    }
}

pub(super) fn histogram(digits: u8) -> Histogram<u64> {
    Histogram::new_with_max(LATENCY_US_MAX, digits).unwrap_or_else(|_| unreachable!("a valid range"))
}

pub(super) fn growing_histogram() -> Histogram<u32> {
    // Grows as needed: most intervals see a narrow range.
    Histogram::new(2).unwrap_or_else(|_| unreachable!("two digits are allowed"))
}
