//! Reads the log after any kind of stop.
//!
//! Two passes: the first reads topics, groups and cursors, the second loads the messages that some group still needs.
//! So memory holds one segment at a time besides the final state.

use tokio::time::Instant;

use super::log::Directory;
use super::record::{Found, MAGIC, Record, read};
use super::state::{Limits, State};
use crate::error::BrokerError;

/// Returns the state at the last whole record.
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
            truncate_torn_end(directory, *id, &bytes, end, index + 1 == segments.len())?;
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

/// Reads a segment's records up to its end or the first incomplete one; returns that position.
fn scan(
    directory: &Directory,
    id: u64,
    bytes: &[u8],
    mut visit: impl FnMut(Record<'_>),
) -> Result<usize, BrokerError> {
    if bytes.len() < MAGIC.len() && MAGIC.starts_with(bytes) {
        // The process ended between creating the file and writing to it.
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

/// Truncates the record that was being written when the process ended. An incomplete record elsewhere is damage, by a
/// crash of the machine under [`crate::Flush::OsCache`] or by the disk: the rest of its segment is lost; later
/// segments begin with checkpoints and are whole.
fn truncate_torn_end(
    directory: &Directory,
    id: u64,
    bytes: &[u8],
    end: usize,
    last: bool,
) -> Result<(), BrokerError> {
    let lost_bytes = bytes.len() - end;
    if last {
        tracing::info!(segment = id, lost_bytes, "truncated the torn end of the log");
    } else {
        tracing::error!(segment = id, lost_bytes, "segment damaged; messages may be lost");
    }
    directory.truncate(id, end as u64)
}

#[cfg(test)]
#[path = "recovery_tests.rs"]
mod tests;
