//! Ids of clients and messages.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Returns `spillway-kind-process-random`: unique among an instance's clients, with the process id for operators.
pub(crate) fn client_id(kind: &str) -> String {
    format!("spillway-{kind}-{}-{:08x}", std::process::id(), rand::random::<u32>())
}

/// Generates message ids in the layout of RocketMQ 5 clients: version, 6 bytes for the machine, 2 for the process,
/// 4 for the second, a counter of 4 bytes; 34 upper-case hex digits.
#[derive(Debug)]
pub(crate) struct MessageIds {
    prefix: String,
    next: AtomicU32,
}

/// Seconds from 1970 to 2021, the epoch of the layout.
const EPOCH_2021_S: u64 = 1_609_459_200;

impl MessageIds {
    pub(crate) fn new() -> Self {
        // Random bytes instead of the machine's address, which would disclose it.
        let machine = rand::random::<u64>() >> 16;
        let process = std::process::id() & 0xffff;
        Self { prefix: format!("01{machine:012X}{process:04X}"), next: AtomicU32::new(rand::random()) }
    }

    pub(crate) fn next(&self) -> String {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        // The layout's 4 bytes for the second wrap.
        let seconds = seconds.saturating_sub(EPOCH_2021_S) & 0xffff_ffff;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{}{seconds:08X}{number:08X}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_ids_have_the_layout_and_differ() {
        let ids = MessageIds::new();
        let (first, second) = (ids.next(), ids.next());
        for id in [&first, &second] {
            assert_eq!(id.len(), 34);
            assert!(id.starts_with("01") && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F')));
        }
        assert_ne!(first, second);
    }
}
