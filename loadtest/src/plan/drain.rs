//! The queue: how deep it gets, how old, and when it is empty.

use serde::Serialize;

/// A sale of `orders` that arrive at the peak rate from the beginning, worked off at `drain_rate`, first in first
/// out. Nothing fills a queue faster, so depth and age are the most they can be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Drain {
    /// The deepest, orders.
    pub depth_max: f64,
    /// When the sale ends, orders.
    pub depth_at_end: f64,
    /// Age of the oldest order in the queue when the sale ends, seconds.
    pub oldest_at_end_s: f64,
    /// The longest that any order waits, seconds.
    pub oldest_max_s: f64,
    /// From the sale's beginning until the queue is empty, seconds.
    pub drained_s: f64,
    /// The same from its end, seconds; 0 if the queue is empty before.
    pub drained_after_end_s: f64,
}

impl Drain {
    /// All rates a second and above 0; `orders` ≤ `peak_rps` × `sale_s`.
    #[must_use]
    pub fn of(peak_rps: f64, orders: f64, sale_s: f64, drain_rate: f64) -> Self {
        // Under the cap nothing gathers, beyond what is under way.
        if drain_rate >= peak_rps {
            let drained_s = orders / peak_rps;
            return Self {
                depth_max: 0.0,
                depth_at_end: 0.0,
                oldest_at_end_s: 0.0,
                oldest_max_s: 0.0,
                drained_s,
                drained_after_end_s: 0.0,
            };
        }
        let arrived_s = orders / peak_rps;
        let drained_s = orders / drain_rate;
        let depth_at_end = (orders - drain_rate * sale_s).max(0.0);
        // The order at the head when the sale ends came when as many had arrived as were drained by then.
        let head_arrived_s = drain_rate * sale_s / peak_rps;
        Self {
            depth_max: orders - drain_rate * arrived_s,
            depth_at_end,
            oldest_at_end_s: if depth_at_end > 0.0 { sale_s - head_arrived_s } else { 0.0 },
            oldest_max_s: drained_s - arrived_s,
            drained_s,
            drained_after_end_s: (drained_s - sale_s).max(0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_at_the_peak_takes_twenty_five_to_drain() {
        let drain = Drain::of(50_000.0, 3_000_000.0, 60.0, 2_000.0);
        assert_eq!(drain.depth_at_end, 2_880_000.0);
        assert_eq!(drain.depth_max, 2_880_000.0);
        assert_eq!(drain.drained_s, 1_500.0);
        assert_eq!(drain.drained_after_end_s, 1_440.0);
        assert_eq!(drain.oldest_max_s, 1_440.0);
        // At the end the head is the 120,000th order, which came after 2.4 s.
        assert!((drain.oldest_at_end_s - 57.6).abs() < 1e-9);
    }

    #[test]
    fn a_burst_in_a_long_sale_is_deepest_at_the_burst_end() {
        // 100,000 orders within 2 s, then nothing until the sale ends after 10 min.
        let drain = Drain::of(50_000.0, 100_000.0, 600.0, 2_000.0);
        assert_eq!((drain.depth_max, drain.depth_at_end), (96_000.0, 0.0));
        assert_eq!((drain.drained_s, drain.drained_after_end_s), (50.0, 0.0));
        assert_eq!((drain.oldest_max_s, drain.oldest_at_end_s), (48.0, 0.0));
    }

    #[test]
    fn under_the_cap_nothing_gathers() {
        let drain = Drain::of(1_000.0, 60_000.0, 60.0, 2_000.0);
        assert_eq!((drain.depth_max, drain.oldest_max_s, drain.drained_after_end_s), (0.0, 0.0, 0.0));
        assert_eq!(drain.drained_s, 60.0);
    }
}
