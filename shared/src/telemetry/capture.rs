//! Log lines in a test's hands.

use std::io;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use tracing::Dispatch;
use tracing::subscriber::{DefaultGuard, NoSubscriber};
use tracing_subscriber::filter::ParseError;

use super::json_subscriber;

/// Keeps what this thread logs, as [`super::init`] would write it, until it is dropped. For tests.
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
    /// Begins with what `filter` lets through.
    ///
    /// # Errors
    /// If `filter` cannot be read.
    pub fn of_this_thread(filter: &str) -> Result<Self, ParseError> {
        // With a single subscriber `tracing` asks the thread that meets a log line first whether anybody wants it, and
        // holds to that for all threads. With two it asks them all.
        static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::default()));
        LazyLock::force(&SECOND);
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = json_subscriber(filter, move || writer.clone())?;
        Ok(Self { buffer, _guard: tracing::subscriber::set_default(subscriber) })
    }

    /// All of it so far.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.buffer.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Every line that is JSON; framing lines are not.
    #[must_use]
    pub fn lines(&self) -> Vec<serde_json::Value> {
        self.text().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}
