//! Captures log lines in a test.

use std::io;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use tracing::Dispatch;
use tracing::subscriber::{DefaultGuard, NoSubscriber};
use tracing_subscriber::filter::ParseError;

use super::json_subscriber;

/// Records this thread's log lines, formatted as [`super::init`] formats them, until dropped.
#[derive(Debug)]
pub struct Capture {
    buffer: Buffer,
    _guard: DefaultGuard,
}

#[derive(Clone, Debug, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Capture {
    /// Starts to record the lines that pass `filter`.
    ///
    /// # Errors
    /// If `filter` is malformed.
    pub fn current_thread(filter: &str) -> Result<Self, ParseError> {
        // With a single subscriber `tracing` caches the interest of the first thread that reaches a call site for all
        // threads. With two subscribers it asks each time.
        static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::default()));
        LazyLock::force(&SECOND);
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = json_subscriber(filter, move || writer.clone())?;
        Ok(Self { buffer, _guard: tracing::subscriber::set_default(subscriber) })
    }

    /// Everything logged so far.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.buffer.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// The JSON lines; marker lines are left out.
    #[must_use]
    pub fn lines(&self) -> Vec<serde_json::Value> {
        self.text().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}
