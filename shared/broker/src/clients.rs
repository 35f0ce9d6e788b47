//! Settings of the clients that opened a Telemetry stream.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use spillway_rocketmq::protocol::ClientType;

/// Maximum clients; beyond it the one that was idle longest is removed.
const CLIENTS_MAX: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientSettings {
    pub(crate) client_type: ClientType,
    /// The client's time-out for calls that are not receives.
    pub(crate) request_timeout: Duration,
    heard: u64,
}

/// Settings by client id. They outlive their Telemetry stream, as on the real server.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_id: HashMap<String, ClientSettings>,
    heard: u64,
}

impl Clients {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn store_settings(&self, id: &str, client_type: ClientType, request_timeout: Duration) {
        let mut inner = self.lock();
        inner.heard += 1;
        let heard = inner.heard;
        if inner.by_id.len() >= CLIENTS_MAX && !inner.by_id.contains_key(id) {
            let oldest = inner.by_id.iter().min_by_key(|(_, known)| known.heard).map(|(id, _)| id.clone());
            oldest.and_then(|oldest| inner.by_id.remove(&oldest));
        }
        inner.by_id.insert(id.to_owned(), ClientSettings { client_type, request_timeout, heard });
    }

    pub(crate) fn get(&self, id: &str) -> Option<ClientSettings> {
        self.lock().by_id.get(id).copied()
    }

    pub(crate) fn forget(&self, id: &str) -> Option<ClientSettings> {
        self.lock().by_id.remove(id)
    }

    pub(crate) fn forget_all(&self) {
        self.lock().by_id.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_gives_way() {
        let clients = Clients::default();
        for number in 0..=CLIENTS_MAX {
            clients.store_settings(&number.to_string(), ClientType::Producer, Duration::ZERO);
        }
        assert_eq!(clients.get("0"), None);
        assert!(clients.get("1").is_some());
        assert_eq!(clients.lock().by_id.len(), CLIENTS_MAX);
    }
}
