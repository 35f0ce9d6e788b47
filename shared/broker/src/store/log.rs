//! The log's files. Every function here blocks and runs on the blocking pool.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::Flush;
use crate::error::BrokerError;

const LOCK_FILE: &str = "lock";
const SEGMENT_SUFFIX: &str = ".log";
/// Maximum wait for a broker that was just dropped to unlock the directory.
const LOCK_TRIES: u32 = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// A locked directory; the lock ends with this value or the process.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    _lock: File,
}

impl Directory {
    /// Creates the directory if needed and locks it; waits at most two seconds for a stopping broker.
    pub(crate) async fn lock(path: &Path) -> Result<Self, BrokerError> {
        std::fs::create_dir_all(path).map_err(BrokerError::io("making", path))?;
        let lock_path = path.join(LOCK_FILE);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(BrokerError::io("opening", &lock_path))?;
        for _ in 0..LOCK_TRIES {
            match lock.try_lock() {
                Ok(()) => return Ok(Self { path: path.to_owned(), _lock: lock }),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_PAUSE).await,
                Err(TryLockError::Error(source)) => {
                    return Err(BrokerError::io("locking", lock_path)(source));
                }
            }
        }
        Err(BrokerError::Locked { dir: path.to_owned() })
    }

    /// Segments, oldest first.
    pub(crate) fn segments(&self) -> Result<Vec<u64>, BrokerError> {
        let mut ids = Vec::new();
        for entry in std::fs::read_dir(&self.path).map_err(BrokerError::io("listing", &self.path))? {
            let entry = entry.map_err(BrokerError::io("listing", &self.path))?;
            let name = entry.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(SEGMENT_SUFFIX));
            if let Some(id) = id.and_then(|id| u64::from_str_radix(id, 16).ok()) {
                ids.push(id);
            }
        }
        ids.sort_unstable();
        Ok(ids)
    }

    pub(crate) fn segment_path(&self, id: u64) -> PathBuf {
        self.path.join(format!("{id:016x}{SEGMENT_SUFFIX}"))
    }

    /// Reads a whole segment. Bounded by a segment's maximum and what one round may add.
    pub(crate) fn read(&self, id: u64) -> Result<Vec<u8>, BrokerError> {
        let path = self.segment_path(id);
        std::fs::read(&path).map_err(BrokerError::io("reading", path))
    }

    /// Flushes a segment to the device.
    pub(crate) fn sync(&self, id: u64) -> Result<(), BrokerError> {
        let path = self.segment_path(id);
        File::open(&path).and_then(|file| file.sync_data()).map_err(BrokerError::io("flushing", path))
    }

    /// Truncates a segment's torn end.
    pub(crate) fn truncate(&self, id: u64, length: u64) -> Result<(), BrokerError> {
        let path = self.segment_path(id);
        let cut = OpenOptions::new().write(true).open(&path).and_then(|file| {
            file.set_len(length)?;
            file.sync_data()
        });
        cut.map_err(BrokerError::io("truncating", path))
    }
}

/// The file operations of one round.
#[derive(Debug, Default)]
pub(crate) struct LogWrite {
    /// Segment to begin before the write.
    pub(crate) begin: Option<u64>,
    pub(crate) bytes: Vec<u8>,
    /// Segments to delete after the write.
    pub(crate) delete: Vec<u64>,
    /// Flush to the device under any policy.
    pub(crate) sync: bool,
}

/// The log, append-only.
#[derive(Debug)]
pub(crate) struct Log {
    directory: Directory,
    flush: Flush,
    newest: Option<File>,
}

impl Log {
    pub(crate) const fn new(directory: Directory, flush: Flush) -> Self {
        Self { directory, flush, newest: None }
    }

    /// Executes `job`. When it returns, the bytes survive the process; with [`Flush::Sync`] the machine.
    ///
    /// Under any policy a sealed segment is on the device, and a segment is deleted only once everything that was copied
    /// from it is.
    ///
    /// After an error nothing may be written: part of a record may be at the end of the segment.
    pub(crate) fn write(&mut self, job: &LogWrite) -> Result<(), BrokerError> {
        let sync = job.sync || self.flush == Flush::Sync || !job.delete.is_empty();
        if let Some(id) = job.begin {
            self.begin(id, sync)?;
        }
        if let Some(file) = &mut self.newest {
            // The path is for the message only; any file of the directory would do.
            file.write_all(&job.bytes).map_err(BrokerError::io("writing to", &self.directory.path))?;
            if sync {
                file.sync_data().map_err(BrokerError::io("flushing", &self.directory.path))?;
            }
        }
        for id in &job.delete {
            self.delete(*id);
        }
        Ok(())
    }

    fn begin(&mut self, id: u64, sync: bool) -> Result<(), BrokerError> {
        if let Some(sealed) = &self.newest {
            sealed.sync_data().map_err(BrokerError::io("flushing", &self.directory.path))?;
        }
        let path = self.directory.segment_path(id);
        let file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(&path)
            .map_err(BrokerError::io("creating", path))?;
        self.newest = Some(file);
        if sync {
            // A new file's name is durable only after the directory is flushed.
            File::open(&self.directory.path)
                .and_then(|directory| directory.sync_all())
                .map_err(BrokerError::io("flushing", &self.directory.path))?;
        }
        Ok(())
    }

    fn delete(&self, id: u64) {
        let path = self.directory.segment_path(id);
        match std::fs::remove_file(&path) {
            Ok(()) => tracing::debug!(segment = id, "segment deleted"),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // The next start deletes it.
            Err(error) => tracing::warn!(segment = id, %error, "segment not deleted"),
        }
    }
}
