//! Reads the log after any kind of stop.
//!
//! Two passes: the first reads topics, groups and cursors, the second loads the messages that some group still needs.
//! So memory holds one segment at a time besides the final state.

use tokio::time::Instant;

use super::log::Directory;
use super::record::{Found, MAGIC, Record, read, resume_after};
use super::state::{Limits, State};
use crate::error::BrokerError;

/// Returns the state by all whole records.
pub(crate) fn recover(directory: &Directory, limits: Limits) -> Result<State, BrokerError> {
    let mut state = State::new(limits);
    let segments = directory.segments()?;
    for id in &segments {
        let bytes = directory.read(*id)?;
        let scanned = scan(directory, *id, &bytes, |record| match record {
            Record::Message(message) => state.seen(&message),
            Record::Change(change) => state.replay(change),
        })?;
        let torn_bytes = bytes.len() - scanned.end;
        if scanned.damaged_bytes > 0 || (torn_bytes > 0 && segments.last() != Some(id)) {
            let lost_bytes = scanned.damaged_bytes + torn_bytes;
            tracing::error!(segment = id, lost_bytes, "log damaged; messages may be lost or redelivered");
        } else if torn_bytes > 0 {
            tracing::info!(segment = id, lost_bytes = torn_bytes, "truncated the torn end of the log");
        }
        if torn_bytes > 0 {
            directory.truncate(*id, scanned.end as u64)?;
        }
        state.segments.found(*id, scanned.end as u64);
    }
    // The end of the process may have left it to the operating system; all others were flushed when they were sealed.
    if let Some(last) = segments.last() {
        directory.sync(*last)?;
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

#[derive(Clone, Copy, Debug, Default)]
struct ScannedSegment {
    /// End of the last whole record. What follows was being written when the process ended, or is damaged.
    end: usize,
    /// Bytes between whole records: damage, by a crash of the machine under [`crate::Flush::OsCache`] or by the disk.
    damaged_bytes: usize,
}

/// Reads all whole records of a segment.
fn scan(
    directory: &Directory,
    id: u64,
    bytes: &[u8],
    mut visit: impl FnMut(Record<'_>),
) -> Result<ScannedSegment, BrokerError> {
    if bytes.len() < MAGIC.len() && MAGIC.starts_with(bytes) {
        // The process ended between creating the file and writing to it.
        return Ok(ScannedSegment::default());
    }
    if !bytes.starts_with(MAGIC) {
        return Err(BrokerError::Foreign { path: directory.segment_path(id) });
    }
    let mut scanned = ScannedSegment { end: MAGIC.len(), damaged_bytes: 0 };
    loop {
        match read(bytes, scanned.end) {
            Found::Record { record, end } => {
                visit(record);
                scanned.end = end;
            }
            Found::End => return Ok(scanned),
            Found::Torn => {
                let Some(next) = resume_after(bytes, scanned.end) else { return Ok(scanned) };
                scanned.damaged_bytes += next - scanned.end;
                scanned.end = next;
            }
        }
    }
}

#[cfg(test)]
#[path = "recovery_tests.rs"]
mod tests;
