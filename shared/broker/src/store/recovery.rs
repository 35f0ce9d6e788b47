//! Reading the log back after a stop of any kind.
//!
//! Two passes: the first learns topics, groups and places, the second takes those messages into memory that some
//! group still needs. So that memory holds at any time one segment and what will stay.

use tokio::time::Instant;

use super::log::Directory;
use super::record::{Found, MAGIC, Record, read};
use super::state::{Limits, State};
use crate::error::BrokerError;

/// The state as it was when the last whole record was written.
pub(crate) fn recover(directory: &Directory, limits: Limits) -> Result<State, BrokerError> {
    let mut state = State::new(limits);
    let segments = directory.segments()?;
    for (index, id) in segments.iter().enumerate() {
        let bytes = directory.read(*id)?;
        let end = scan(directory, *id, &bytes, |record| match record {
            Record::Message(message) => state.seen(&message),
            Record::Change(change) => state.replay(change),
        })?;
        if end < bytes.len() {
            mend(directory, *id, &bytes, end, index + 1 == segments.len())?;
        }
        state.segments.found(*id, end as u64);
    }
    for id in &segments {
        let bytes = directory.read(*id)?;
        scan(directory, *id, &bytes, |record| {
            if let Record::Message(message) = record {
                state.load(&message, *id);
            }
        })?;
    }
    state.settle_down(Instant::now());
    Ok(state)
}

/// Reads a segment's records up to its end or the first one that is not whole. Where that is.
fn scan(
    directory: &Directory,
    id: u64,
    bytes: &[u8],
    mut visit: impl FnMut(Record<'_>),
) -> Result<usize, BrokerError> {
    if bytes.len() < MAGIC.len() && MAGIC.starts_with(bytes) {
        // The process ended between making the file and writing to it.
        return Ok(0);
    }
    if !bytes.starts_with(MAGIC) {
        return Err(BrokerError::Foreign { path: directory.segment_path(id) });
    }
    let mut at = MAGIC.len();
    while let Found::Record { record, end } = read(bytes, at) {
        visit(record);
        at = end;
    }
    Ok(at)
}

/// Cuts off what was being written when the process ended. Anywhere but at the very end of the log that is damage,
/// from a crash of the machine under [`crate::Flush::OsCache`], or from the disk: what follows within the
/// segment is lost, the later segments begin with checkpoints and are whole.
fn mend(directory: &Directory, id: u64, bytes: &[u8], end: usize, last: bool) -> Result<(), BrokerError> {
    let lost_bytes = bytes.len() - end;
    if last {
        tracing::info!(segment = id, lost_bytes, "torn end of the log cut off");
    } else {
        tracing::error!(segment = id, lost_bytes, "segment damaged, messages may be lost");
    }
    directory.truncate(id, end as u64)
}

#[cfg(test)]
#[path = "recovery_tests.rs"]
mod tests;
