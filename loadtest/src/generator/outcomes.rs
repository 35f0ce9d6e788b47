//! The ends of all requests of one thread, in chunks of a fixed size: a chunk that is full never moves.
//!
//! The chunks that the plan needs are allocated and touched before the start. Beyond [`CHUNKS_IN_MEMORY`] of all threads
//! together, a thread beside the event loop writes them to a temporary file, so that a soak's memory stays flat.

use std::borrow::Cow;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use shared::order::{OrderId, PayloadDigest};

use super::in_flight::{NoResponseCause, RequestEnd};

/// Outcomes of a chunk.
pub(super) const CHUNK_LENGTH: usize = 1 << 16;

/// Maximum chunks in memory, over all threads: 2.1 million requests, 34 MB.
pub(super) const CHUNKS_IN_MEMORY: usize = 32;

/// Chunks allocated beyond the plan's share, for retries.
const CHUNKS_SPARE: usize = 1;

/// Marks an outcome without a problem code.
pub(super) const NO_CODE: u16 = u16::MAX;

const OUTCOME_BYTES: usize = 16;

const ID_BYTES: usize = 16;

/// The end of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestOutcome {
    /// Fingerprint of the answered order id and digest; 0: the response names no order.
    answer: u64,
    pub(super) number: u32,
    pub(super) code: u16,
    pub(super) end: RequestEnd,
}

impl RequestOutcome {
    const EMPTY: Self = Self { answer: 0, number: 0, code: NO_CODE, end: RequestEnd::Unsent };

    pub(super) fn new(number: u32, end: RequestEnd) -> Self {
        Self { number, end, ..Self::EMPTY }
    }

    pub(super) fn set_answer(&mut self, order_id: &OrderId, digest: &PayloadDigest) {
        self.answer = fingerprint(order_id, digest);
    }

    /// Compares the response's order id and digest with the derived ones; `None`: the response names no order.
    pub(super) fn answer_matches(&self, order_id: &OrderId, digest: &PayloadDigest) -> Option<bool> {
        (self.answer != 0).then(|| self.answer == fingerprint(order_id, digest))
    }

    fn to_bytes(self) -> [u8; OUTCOME_BYTES] {
        let end = match self.end {
            RequestEnd::Accepted => 0,
            RequestEnd::Shed => 1,
            RequestEnd::Refused => 2,
            RequestEnd::Unsent => 3,
            RequestEnd::Unknown(cause) => 4 + cause as u8,
        };
        let mut bytes = [0; OUTCOME_BYTES];
        bytes[..8].copy_from_slice(&self.answer.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.number.to_le_bytes());
        bytes[12..14].copy_from_slice(&self.code.to_le_bytes());
        bytes[14] = end;
        bytes
    }

    fn from_bytes(bytes: &[u8; OUTCOME_BYTES]) -> Option<Self> {
        Some(Self {
            answer: u64::from_le_bytes(bytes[..8].try_into().ok()?),
            number: u32::from_le_bytes(bytes[8..12].try_into().ok()?),
            code: u16::from_le_bytes(bytes[12..14].try_into().ok()?),
            end: match bytes[14] {
                0 => RequestEnd::Accepted,
                1 => RequestEnd::Shed,
                2 => RequestEnd::Refused,
                3 => RequestEnd::Unsent,
                cause => RequestEnd::Unknown(*NoResponseCause::ALL.get(usize::from(cause) - 4)?),
            },
        })
    }
}

/// Mixes all 48 bytes; never 0. Two pairs share one with a probability of 2⁻⁶⁴.
fn fingerprint(order_id: &OrderId, digest: &PayloadDigest) -> u64 {
    let (id, _) = order_id.as_bytes().as_chunks::<8>();
    let (digest, _) = digest.as_bytes().as_chunks::<8>();
    let mixed = id.iter().chain(digest).fold(0x9e37_79b9_7f4a_7c15, |mixed: u64, word| {
        let product = u128::from(mixed ^ u64::from_le_bytes(*word)) * u128::from(0xd6e8_feb8_6659_fd93_u64);
        (product as u64 ^ (product >> 64) as u64).wrapping_add(0x9e37_79b9_7f4a_7c15)
    });
    mixed.max(1)
}

/// Outcomes in the order in which the requests ended.
#[derive(Clone, Debug, Default)]
pub(super) struct OutcomeChunk {
    outcomes: Vec<RequestOutcome>,
    /// The answered order id of each outcome; empty unless the plan keeps them.
    order_ids: Vec<[u8; ID_BYTES]>,
}

impl OutcomeChunk {
    /// Allocates and touches its memory.
    fn new(keeps_order_ids: bool) -> Self {
        let order_ids = if keeps_order_ids { vec![[1; ID_BYTES]; CHUNK_LENGTH] } else { Vec::new() };
        let mut chunk = Self { outcomes: vec![RequestOutcome::EMPTY; CHUNK_LENGTH], order_ids };
        chunk.clear();
        chunk
    }

    fn clear(&mut self) {
        self.outcomes.clear();
        self.order_ids.clear();
    }

    pub(super) fn outcomes(&self) -> &[RequestOutcome] {
        &self.outcomes
    }

    /// The order id in the response of outcome `index`; `None` if it has none, or the plan keeps none.
    pub(super) fn order_id(&self, index: usize) -> Option<OrderId> {
        let bytes = self.order_ids.get(index).filter(|bytes| **bytes != [0; ID_BYTES])?;
        Some(OrderId::from_bytes(*bytes))
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.clear();
        bytes.extend(self.outcomes.iter().flat_map(|outcome| outcome.to_bytes()));
        bytes.extend(self.order_ids.iter().flatten());
    }

    fn read(file: &OutcomeFile, at: &SpilledChunk) -> std::io::Result<Self> {
        let mut bytes = vec![0; at.outcomes * OUTCOME_BYTES + at.order_ids * ID_BYTES];
        file.file.read_exact_at(&mut bytes, at.offset)?;
        let (outcomes, order_ids) = bytes.split_at(at.outcomes * OUTCOME_BYTES);
        let outcomes: Option<_> = outcomes.as_chunks().0.iter().map(RequestOutcome::from_bytes).collect();
        let mut outcomes: Vec<RequestOutcome> = outcomes.ok_or(std::io::ErrorKind::InvalidData)?;
        for outcome in &mut outcomes {
            outcome.code = file.codes.get(usize::from(outcome.code)).copied().unwrap_or(outcome.code);
        }
        Ok(Self { outcomes, order_ids: order_ids.as_chunks().0.to_vec() })
    }
}

/// Bytes of a chunk in a file.
pub(super) const fn chunk_bytes((outcomes, order_ids): ChunkLengths) -> u64 {
    outcomes.saturating_mul(OUTCOME_BYTES).saturating_add(order_ids.saturating_mul(ID_BYTES)) as u64
}

#[derive(Debug)]
struct SpilledChunk {
    offset: u64,
    outcomes: usize,
    order_ids: usize,
}

#[derive(Debug)]
enum StoredChunk {
    Memory(OutcomeChunk),
    File(usize, SpilledChunk),
}

/// The complete outcomes of one or more threads.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    chunks: Vec<StoredChunk>,
    files: Vec<OutcomeFile>,
}

#[derive(Debug)]
struct OutcomeFile {
    file: File,
    /// The number of each problem code in the file; empty: that in the file.
    codes: Vec<u16>,
}

/// Outcomes and order ids of a chunk.
pub(super) type ChunkLengths = (usize, usize);

impl Outcomes {
    /// The chunks of `lengths` that [`Self::write`] has written to `file` from `offset` on. They stay in the file.
    pub(super) fn in_file(file: File, mut offset: u64, lengths: &[ChunkLengths]) -> Self {
        let chunks = lengths.iter().map(|&lengths| {
            let at = SpilledChunk { offset, outcomes: lengths.0, order_ids: lengths.1 };
            offset += chunk_bytes(lengths);
            StoredChunk::File(0, at)
        });
        Self { chunks: chunks.collect(), files: vec![OutcomeFile { file, codes: Vec::new() }] }
    }

    /// Replaces each problem code, of chunks in files, by its number in `codes`.
    pub(super) fn renumber(&mut self, codes: &[u16]) {
        for file in &mut self.files {
            file.codes = codes.to_vec();
        }
    }

    pub(super) fn lengths(&self) -> Vec<ChunkLengths> {
        let lengths = self.chunks.iter().map(|chunk| match chunk {
            StoredChunk::Memory(chunk) => (chunk.outcomes.len(), chunk.order_ids.len()),
            StoredChunk::File(_, at) => (at.outcomes, at.order_ids),
        });
        lengths.collect()
    }

    /// Writes every chunk.
    ///
    /// # Errors
    /// If the temporary file cannot be read, or `out` cannot be written.
    pub(super) fn write(&self, out: &mut impl std::io::Write) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        for index in 0..self.chunk_count() {
            self.chunk(index)?.write(&mut bytes);
            out.write_all(&bytes)?;
        }
        Ok(())
    }

    pub(super) const fn chunk_count(&self) -> usize {
        self.chunks.len()
    }

    /// # Errors
    /// If the temporary file cannot be read.
    pub(super) fn chunk(&self, index: usize) -> std::io::Result<Cow<'_, OutcomeChunk>> {
        match &self.chunks[index] {
            StoredChunk::Memory(chunk) => Ok(Cow::Borrowed(chunk)),
            StoredChunk::File(file, at) => OutcomeChunk::read(&self.files[*file], at).map(Cow::Owned),
        }
    }

    /// Takes the chunks over without copying them.
    pub(super) fn append(&mut self, other: Self) {
        let files_before = self.files.len();
        self.files.extend(other.files);
        self.chunks.extend(other.chunks.into_iter().map(|chunk| match chunk {
            StoredChunk::File(file, at) => StoredChunk::File(file + files_before, at),
            StoredChunk::Memory(chunk) => StoredChunk::Memory(chunk),
        }));
    }
}

/// Collects the outcomes of one event loop.
#[derive(Debug)]
pub(super) struct OutcomeLog {
    current: OutcomeChunk,
    /// Empty chunks.
    spare: Vec<OutcomeChunk>,
    kept: Vec<StoredChunk>,
    chunks_in_memory: usize,
    keeps_order_ids: bool,
    spill: Option<SpillThread>,
}

impl OutcomeLog {
    /// Allocates and touches the memory of `outcomes_planned`, at most `chunks_in_memory` chunks.
    pub(super) fn new(outcomes_planned: u64, chunks_in_memory: usize, keeps_order_ids: bool) -> Self {
        let planned = outcomes_planned.div_ceil(CHUNK_LENGTH as u64).min(chunks_in_memory as u64) as usize;
        let chunk = || OutcomeChunk::new(keeps_order_ids);
        Self {
            current: chunk(),
            spare: std::iter::repeat_with(chunk).take(planned + CHUNKS_SPARE).collect(),
            kept: Vec::with_capacity(chunks_in_memory),
            chunks_in_memory,
            keeps_order_ids,
            spill: None,
        }
    }

    /// `order_id`: the one in the response.
    pub(super) fn push(&mut self, outcome: RequestOutcome, order_id: Option<&OrderId>) {
        self.current.outcomes.push(outcome);
        if self.keeps_order_ids {
            self.current.order_ids.push(order_id.map_or([0; ID_BYTES], |order_id| *order_id.as_bytes()));
        }
        if self.current.outcomes.len() == CHUNK_LENGTH {
            self.next_chunk();
        }
    }

    fn next_chunk(&mut self) {
        let recycled = self.spill.as_ref().and_then(|spill| spill.empty.try_recv().ok());
        let empty = recycled.or_else(|| self.spare.pop());
        let empty = empty.unwrap_or_else(|| OutcomeChunk::new(self.keeps_order_ids));
        let full = std::mem::replace(&mut self.current, empty);
        if self.kept.len() < self.chunks_in_memory {
            self.kept.push(StoredChunk::Memory(full));
        } else if let Err(full) = self.spill.get_or_insert_with(SpillThread::start).write(full) {
            self.kept.push(StoredChunk::Memory(full));
        }
    }

    /// Waits until everything is written.
    pub(super) fn finish(mut self) -> Outcomes {
        let mut all = Outcomes { chunks: self.kept, files: Vec::new() };
        if let Some(spill) = self.spill.take() {
            all.append(spill.finish());
        }
        if !self.current.outcomes.is_empty() {
            all.chunks.push(StoredChunk::Memory(self.current));
        }
        all
    }
}

/// Writes full chunks to a file, which is deleted already, and returns them empty.
#[derive(Debug)]
struct SpillThread {
    full: Sender<OutcomeChunk>,
    empty: Receiver<OutcomeChunk>,
    thread: Option<JoinHandle<Outcomes>>,
}

impl SpillThread {
    /// Without a thread every chunk stays in memory.
    fn start() -> Self {
        let (full, receive_full) = channel::<OutcomeChunk>();
        let (send_empty, empty) = channel();
        let write = move || {
            let mut outcomes = Outcomes::default();
            let file = tempfile::tempfile().map(|file| OutcomeFile { file, codes: Vec::new() });
            outcomes.files.extend(file);
            let (mut offset, mut bytes) = (0, Vec::new());
            for mut chunk in receive_full {
                chunk.write(&mut bytes);
                let written = outcomes.files.first().map(|file| file.file.write_all_at(&bytes, offset));
                if !matches!(written, Some(Ok(()))) {
                    // Without room on the disk the chunk stays in memory.
                    outcomes.chunks.push(StoredChunk::Memory(chunk));
                    continue;
                }
                let (lengths, length) = ((chunk.outcomes.len(), chunk.order_ids.len()), bytes.len() as u64);
                let at = SpilledChunk { offset, outcomes: lengths.0, order_ids: lengths.1 };
                outcomes.chunks.push(StoredChunk::File(0, at));
                offset += length;
                chunk.clear();
                // After the end of the loop it is not needed.
                let _ended = send_empty.send(chunk);
            }
            outcomes
        };
        let thread = std::thread::Builder::new().name("spill".to_owned()).spawn(write).ok();
        Self { full, empty, thread }
    }

    /// Returns the chunk if the thread does not run.
    fn write(&self, chunk: OutcomeChunk) -> Result<(), OutcomeChunk> {
        self.full.send(chunk).map_err(|unsent| unsent.0)
    }

    fn finish(self) -> Outcomes {
        drop(self.full);
        match self.thread.map(JoinHandle::join) {
            Some(Ok(outcomes)) => outcomes,
            // A panic must not pass as an empty file.
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Outcomes::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(number: u64) -> (OrderId, PayloadDigest) {
        let mut bytes = [7; 32];
        bytes[24..].copy_from_slice(&number.to_be_bytes());
        let mut id = [3; 16];
        id[8..].copy_from_slice(&number.to_be_bytes());
        (OrderId::from_bytes(id), PayloadDigest::from_bytes(bytes))
    }

    #[test]
    fn an_answer_matches_only_its_own_id_and_digest() {
        assert_eq!(size_of::<RequestOutcome>(), OUTCOME_BYTES);
        let mut outcome = RequestOutcome::new(1, RequestEnd::Accepted);
        let (order_id, digest) = order(1);
        assert_eq!(outcome.answer_matches(&order_id, &digest), None);
        outcome.set_answer(&order_id, &digest);
        assert_eq!(outcome.answer_matches(&order_id, &digest), Some(true));
        for bit in 0..48 * 8 {
            let (mut id, mut sha) = (*order_id.as_bytes(), *digest.as_bytes());
            match bit / 8 {
                byte @ 0..16 => id[byte] ^= 1 << (bit % 8),
                byte => sha[byte - 16] ^= 1 << (bit % 8),
            }
            let other = (OrderId::from_bytes(id), PayloadDigest::from_bytes(sha));
            assert_eq!(outcome.answer_matches(&other.0, &other.1), Some(false), "bit {bit}");
        }
    }

    #[test]
    fn outcomes_beyond_the_memory_are_read_back_from_the_file_in_order() {
        let ends = [
            RequestEnd::Accepted,
            RequestEnd::Shed,
            RequestEnd::Refused,
            RequestEnd::Unsent,
            RequestEnd::Unknown(NoResponseCause::Connect),
            RequestEnd::Unknown(NoResponseCause::Timeout),
            RequestEnd::Unknown(NoResponseCause::Reset),
            RequestEnd::Unknown(NoResponseCause::HangUp),
            RequestEnd::Unknown(NoResponseCause::Protocol),
        ];
        let outcome = |number: u32| {
            let mut outcome = RequestOutcome::new(number, ends[number as usize % ends.len()]);
            outcome.code = number as u16;
            let (order_id, digest) = order(u64::from(number));
            if number.is_multiple_of(3) {
                outcome.set_answer(&order_id, &digest);
            }
            (outcome, (number.is_multiple_of(3)).then_some(order_id))
        };
        let count = 5 * CHUNK_LENGTH as u32 + 7;
        let mut log = OutcomeLog::new(1, 2, true);
        for number in 0..count {
            let (outcome, order_id) = outcome(number);
            log.push(outcome, order_id.as_ref());
        }
        let mut outcomes = Outcomes::default();
        outcomes.append(log.finish());
        let in_memory = outcomes.chunks.iter().filter(|chunk| matches!(chunk, StoredChunk::Memory(_)));
        assert_eq!((outcomes.chunk_count(), in_memory.count()), (6, 3));
        let mut number = 0;
        for chunk in 0..outcomes.chunk_count() {
            let chunk = outcomes.chunk(chunk).expect("readable");
            for (index, read) in chunk.outcomes().iter().enumerate() {
                assert_eq!((*read, chunk.order_id(index)), outcome(number), "{number}");
                number += 1;
            }
        }
        assert_eq!(number, count);
    }
}
