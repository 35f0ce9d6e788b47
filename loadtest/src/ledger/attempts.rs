//! All attempts of a run, ascending by order id, in memory that does not grow with the run.
//!
//! They are sorted in runs of [`RUN_LENGTH`]. A single run stays in memory; several are written to a temporary file, which
//! is deleted already, and merged whenever they are read.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use shared::order::OrderId;

use super::attempt::{ATTEMPT_BYTES, Attempt};

/// Attempts that are sorted together: 25 MB.
const RUN_LENGTH: usize = 1 << 19;

/// Attempts of a run that are read at once.
const BLOCK_LENGTH: usize = 1 << 10;

/// All requests of a run that name an order, ascending by order id and number.
#[derive(Debug, Default)]
pub struct Attempts {
    runs: Vec<SortedRun>,
    file: Option<File>,
    codes: Vec<Arc<str>>,
    count: usize,
}

#[derive(Debug)]
enum SortedRun {
    Memory(Vec<Attempt>),
    File { offset: u64, count: usize },
}

/// Sorts attempts in parts.
#[derive(Debug)]
pub(crate) struct AttemptSorter {
    unsorted: Vec<Attempt>,
    run_length: usize,
    sorted: Attempts,
    file_bytes: u64,
}

impl AttemptSorter {
    pub(crate) fn new() -> Self {
        Self::with_run_length(RUN_LENGTH)
    }

    fn with_run_length(run_length: usize) -> Self {
        Self { unsorted: Vec::new(), run_length, sorted: Attempts::default(), file_bytes: 0 }
    }

    pub(crate) fn extend(&mut self, attempts: impl IntoIterator<Item = Attempt>) {
        for attempt in attempts {
            if self.unsorted.len() == self.run_length {
                self.sort();
                self.spill();
            }
            self.unsorted.push(attempt);
        }
    }

    fn sort(&mut self) {
        self.sorted.count += self.unsorted.len();
        self.unsorted.sort_unstable_by_key(Attempt::sort_key);
    }

    fn spill(&mut self) {
        let count = self.unsorted.len();
        if let Ok(()) = self.write() {
            self.sorted.runs.push(SortedRun::File { offset: self.file_bytes, count });
            self.file_bytes += (count * ATTEMPT_BYTES) as u64;
            self.unsorted.clear();
        } else {
            // Without room on the disk the run stays in memory.
            self.sorted.runs.push(SortedRun::Memory(std::mem::take(&mut self.unsorted)));
        }
    }

    fn write(&mut self) -> io::Result<()> {
        let file = match &mut self.sorted.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        let (mut bytes, mut offset) = (Vec::with_capacity(BLOCK_LENGTH * ATTEMPT_BYTES), self.file_bytes);
        for block in self.unsorted.chunks(BLOCK_LENGTH) {
            bytes.clear();
            bytes.extend(block.iter().flat_map(|attempt| attempt.to_bytes()));
            file.write_all_at(&bytes, offset)?;
            offset += bytes.len() as u64;
        }
        Ok(())
    }

    /// `codes`: the problem codes, or `status_NNN`, that the attempts refer to.
    pub(crate) fn finish(mut self, codes: Vec<Arc<str>>) -> Attempts {
        self.sort();
        if self.sorted.runs.is_empty() {
            self.sorted.runs.push(SortedRun::Memory(self.unsorted));
        } else {
            self.spill();
        }
        Attempts { codes, ..self.sorted }
    }
}

impl Attempts {
    /// `codes`: the problem codes, or `status_NNN`, that the attempts refer to.
    pub fn new(attempts: impl IntoIterator<Item = Attempt>, codes: Vec<Arc<str>>) -> Self {
        let mut sorter = AttemptSorter::new();
        sorter.extend(attempts);
        sorter.finish(codes)
    }

    pub const fn count(&self) -> usize {
        self.count
    }

    pub fn code(&self, attempt: &Attempt) -> &str {
        self.codes.get(usize::from(attempt.code)).map_or("?", AsRef::as_ref)
    }

    /// The attempts of each order.
    ///
    /// # Errors
    /// If the temporary file cannot be read; the iterator fails as well then.
    pub fn by_order(&self) -> io::Result<OrderAttempts<'_>> {
        let mut orders = OrderAttempts { runs: Vec::new(), next: BinaryHeap::new() };
        for (index, run) in self.runs.iter().enumerate() {
            let blocks = match (run, &self.file) {
                (SortedRun::File { offset, count }, Some(file)) => {
                    RunReader::File { file, offset: *offset, left: *count, block: Vec::new().into_iter() }
                }
                (SortedRun::Memory(attempts), _) => RunReader::Memory(attempts.iter()),
                (SortedRun::File { .. }, None) => return Err(io::ErrorKind::NotFound.into()),
            };
            orders.runs.push(blocks);
            orders.advance(index)?;
        }
        Ok(orders)
    }
}

#[derive(Debug)]
enum RunReader<'a> {
    Memory(std::slice::Iter<'a, Attempt>),
    File { file: &'a File, offset: u64, left: usize, block: std::vec::IntoIter<Attempt> },
}

impl RunReader<'_> {
    fn next(&mut self) -> io::Result<Option<Attempt>> {
        let (file, offset, left, block) = match self {
            Self::Memory(attempts) => return Ok(attempts.next().copied()),
            Self::File { file, offset, left, block } => (file, offset, left, block),
        };
        if let Some(attempt) = block.next() {
            return Ok(Some(attempt));
        }
        let mut bytes = vec![0; BLOCK_LENGTH.min(*left) * ATTEMPT_BYTES];
        file.read_exact_at(&mut bytes, *offset)?;
        let attempts: Option<Vec<_>> = bytes.as_chunks().0.iter().map(Attempt::from_bytes).collect();
        *block = attempts.ok_or(io::ErrorKind::InvalidData)?.into_iter();
        *left -= block.len();
        *offset += bytes.len() as u64;
        Ok(block.next())
    }
}

/// The attempts of one order after the other, ascending by id and, within an order, by number.
#[derive(Debug)]
pub struct OrderAttempts<'a> {
    runs: Vec<RunReader<'a>>,
    /// The next attempt of each run that has one, and the run.
    next: BinaryHeap<Reverse<NextAttempt>>,
}

#[derive(Clone, Copy, Debug)]
struct NextAttempt {
    attempt: Attempt,
    run: usize,
}

impl OrderAttempts<'_> {
    fn advance(&mut self, run: usize) -> io::Result<()> {
        let attempt = self.runs[run].next()?;
        self.next.extend(attempt.map(|attempt| Reverse(NextAttempt { attempt, run })));
        Ok(())
    }

    /// The id of the next order.
    pub(super) fn next_id(&self) -> Option<OrderId> {
        self.next.peek().map(|Reverse(next)| next.attempt.order_id)
    }

    /// Returns the attempts of `order_id` if it is the next order, else none.
    pub(super) fn take_order(&mut self, order_id: OrderId) -> io::Result<Vec<Attempt>> {
        let mut attempts = Vec::new();
        while self.next_id() == Some(order_id) {
            let Some(Reverse(NextAttempt { attempt, run })) = self.next.pop() else { break };
            attempts.push(attempt);
            self.advance(run)?;
        }
        Ok(attempts)
    }
}

impl Iterator for OrderAttempts<'_> {
    type Item = io::Result<Vec<Attempt>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_id().map(|order_id| self.take_order(order_id))
    }
}

impl Ord for NextAttempt {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.attempt.sort_key().cmp(&other.attempt.sort_key())
    }
}

impl PartialOrd for NextAttempt {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for NextAttempt {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for NextAttempt {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::attempt::{AnswerMatch, AttemptEnding, Payload};
    use super::*;

    fn attempt(id: u8, number: u32) -> Attempt {
        let order_id = OrderId::from_bytes([id; 16]);
        let ends = [
            AttemptEnding::Accepted,
            AttemptEnding::Refused,
            AttemptEnding::Failed,
            AttemptEnding::Unknown,
            AttemptEnding::Invalid,
        ];
        let matches = [AnswerMatch::None, AnswerMatch::Matches, AnswerMatch::Differs];
        Attempt {
            order_id,
            answered_id: OrderId::from_bytes([id ^ 0xff; 16]),
            payload: Payload::default(),
            number,
            code: number as u16,
            ending: ends[number as usize % ends.len()],
            answer: matches[number as usize % matches.len()],
        }
    }

    proptest! {
        #[test]
        fn every_attempt_is_read_once_in_order_from_memory_or_from_the_file(
            ids in prop::collection::vec(0_u8..40, 0..300),
            run_length in 1_usize..60,
        ) {
            let all: Vec<_> = (0..).zip(ids).map(|(number, id)| attempt(id, number)).collect();
            let mut sorter = AttemptSorter::with_run_length(run_length);
            sorter.extend(all.iter().copied());
            let attempts = sorter.finish(Vec::new());
            prop_assert_eq!(attempts.count(), all.len());
            let in_memory = attempts.runs.iter().filter(|run| matches!(run, SortedRun::Memory(_))).count();
            prop_assert_eq!(in_memory, usize::from(all.len() <= run_length));
            let mut expected = all;
            expected.sort_by_key(|attempt| (attempt.order_id, attempt.number));
            // Twice: each reader begins anew.
            for _reader in 0..2 {
                let orders = attempts.by_order().expect("readable").map(|order| order.expect("readable"));
                let orders: Vec<_> = orders.collect();
                for order in &orders {
                    prop_assert!(order.iter().all(|attempt| attempt.order_id == order[0].order_id));
                }
                prop_assert!(orders.windows(2).all(|pair| pair[0][0].order_id < pair[1][0].order_id));
                prop_assert_eq!(orders.concat(), &expected[..]);
            }
        }
    }
}
