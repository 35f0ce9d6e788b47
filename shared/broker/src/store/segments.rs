//! Accounts for the log's files and what is still needed of each.

use std::collections::BTreeMap;

/// A file of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Length of the file.
    pub(crate) bytes: u64,
    /// Bytes of messages that some group still needs.
    pub(crate) live_bytes: u64,
    pub(crate) live: u64,
}

/// All segments on disk. The newest is written to; the others are sealed.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    by_id: BTreeMap<u64, Segment>,
    bytes_total: u64,
    /// Bytes of the newest segment's checkpoint.
    checkpoint_bytes: u64,
    /// Set when a segment may have become free.
    check: bool,
}

impl Segments {
    pub(crate) fn newest(&self) -> u64 {
        self.by_id.last_key_value().map_or(0, |(id, _)| *id)
    }

    pub(crate) fn newest_bytes(&self) -> u64 {
        self.by_id.last_key_value().map_or(0, |(_, segment)| segment.bytes)
    }

    /// Bytes written to the newest segment since its checkpoint.
    pub(crate) fn newest_filled(&self) -> u64 {
        self.newest_bytes().saturating_sub(self.checkpoint_bytes)
    }

    pub(crate) const fn bytes_total(&self) -> u64 {
        self.bytes_total
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Adds a segment found on disk.
    pub(crate) fn found(&mut self, id: u64, bytes: u64) {
        self.by_id.insert(id, Segment { bytes, ..Segment::default() });
        self.bytes_total += bytes;
        self.check = true;
    }

    /// Seals the newest segment and begins `id`, whose checkpoint has `checkpoint_bytes`.
    pub(crate) fn begin(&mut self, id: u64, checkpoint_bytes: u64) {
        self.by_id.insert(id, Segment::default());
        self.checkpoint_bytes = checkpoint_bytes;
        self.check = true;
    }

    /// Records that `bytes` were appended to the newest segment.
    pub(crate) fn grew(&mut self, bytes: u64) {
        self.bytes_total += bytes;
        if let Some(mut newest) = self.by_id.last_entry() {
            newest.get_mut().bytes += bytes;
        }
    }

    /// Records that a message of `bytes` in segment `id` is needed.
    pub(crate) fn live(&mut self, id: u64, bytes: usize) {
        if let Some(segment) = self.by_id.get_mut(&id) {
            segment.live += 1;
            segment.live_bytes += bytes as u64;
        }
    }

    /// Records that a message of `bytes` in segment `id` is no longer needed.
    pub(crate) fn dead(&mut self, id: u64, bytes: usize) {
        if let Some(segment) = self.by_id.get_mut(&id) {
            segment.live = segment.live.saturating_sub(1);
            segment.live_bytes = segment.live_bytes.saturating_sub(bytes as u64);
            self.check |= segment.live == 0;
        }
    }

    /// Removes the sealed segments without needed messages and returns their ids, so that their files can be deleted.
    ///
    /// Everything else in them is in the newest segment's checkpoint, or after it.
    pub(crate) fn take_free(&mut self) -> Vec<u64> {
        if !std::mem::take(&mut self.check) {
            return Vec::new();
        }
        let newest = self.newest();
        let free: Vec<u64> = self
            .by_id
            .iter()
            .filter(|(id, segment)| **id != newest && segment.live == 0)
            .map(|(id, _)| *id)
            .collect();
        for id in &free {
            let bytes = self.by_id.remove(id).map_or(0, |segment| segment.bytes);
            self.bytes_total = self.bytes_total.saturating_sub(bytes);
        }
        free
    }

    /// Returns the sealed segment that is cheapest to empty, if less than `quarters` of four of it are needed.
    pub(crate) fn sparse(&self, quarters: u64) -> Option<u64> {
        let newest = self.newest();
        self.by_id
            .iter()
            .filter(|(id, segment)| **id != newest && segment.live > 0)
            .filter(|(_, segment)| segment.live_bytes * 4 < segment.bytes * quarters)
            .min_by_key(|(_, segment)| segment.live_bytes)
            .map(|(id, _)| *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sealed_segments_without_needed_messages_are_freed() {
        let mut segments = Segments::default();
        segments.begin(1, 0);
        segments.grew(100);
        segments.live(1, 40);
        segments.begin(2, 0);
        segments.grew(50);
        assert_eq!(segments.take_free(), []);
        segments.dead(1, 40);
        assert_eq!(segments.take_free(), [1]);
        assert_eq!((segments.bytes_total(), segments.len()), (50, 1));
        assert_eq!(segments.take_free(), []);
    }

    #[test]
    fn a_segment_is_sparse_below_its_quarters() {
        let mut segments = Segments::default();
        for id in 1..=3 {
            segments.begin(id, 0);
            segments.grew(100);
        }
        segments.live(1, 25);
        segments.live(2, 24);
        assert_eq!(segments.sparse(1), Some(2));
        segments.live(2, 27);
        assert_eq!((segments.sparse(1), segments.sparse(3)), (None, Some(1)));
    }
}
