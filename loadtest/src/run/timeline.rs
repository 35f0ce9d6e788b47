//! The drain's side of the timeline, from the decision times in the database.

use crate::report::Interval;

/// Fills in `committed` and `queued`, and appends intervals until the last order was decided.
///
/// `decided`: decision times, microseconds since the first planned request, with the number of their orders.
/// `rows_to_come`: accepted new orders by the interval in which they were planned.
pub(super) fn add_drain(
    timeline: &mut Vec<Interval>,
    interval_ms: u32,
    decided: impl Iterator<Item = (i64, u64)>,
    rows_to_come: impl Iterator<Item = u64>,
) {
    let length_ms = u64::from(interval_ms);
    let mut committed: Vec<u64> = vec![0; timeline.len()];
    for (decided_us, orders) in decided {
        let index = (u64::try_from(decided_us).unwrap_or(0) / (length_ms * 1_000)) as usize;
        if committed.len() <= index {
            committed.resize(index + 1, 0);
        }
        committed[index] += orders;
    }
    while timeline.len() < committed.len() {
        let at_ms = timeline.len() as u64 * length_ms;
        timeline.push(Interval { at_ms, length_ms, ..Interval::default() });
    }
    let mut to_come = rows_to_come.fuse();
    let (mut accepted_so_far, mut committed_so_far) = (0, 0);
    for (interval, committed) in timeline.iter_mut().zip(committed) {
        accepted_so_far += to_come.next().unwrap_or(0);
        committed_so_far += committed;
        interval.committed = committed;
        // An order may be decided before its response arrives, and an unknown one too.
        interval.queued = u64::saturating_sub(accepted_so_far, committed_so_far);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_accepted_minus_decided() {
        let at = |at_ms| Interval { at_ms, length_ms: 500, ..Interval::default() };
        let mut timeline = vec![at(0), at(500)];
        let decided = [(-5, 1), (100_000, 1), (600_000, 1), (1_700_000, 2)];
        add_drain(&mut timeline, 500, decided.into_iter(), [1, 4].into_iter());
        let seen: Vec<_> = timeline.iter().map(|it| (it.at_ms, it.committed, it.queued)).collect();
        assert_eq!(seen, [(0, 2, 0), (500, 1, 2), (1_000, 0, 2), (1_500, 2, 0)]);
    }
}
