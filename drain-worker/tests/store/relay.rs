//! A TCP relay in front of a database, which breaks connections at chosen packets.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use drain_worker::store::{Store, StoreConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::harness::{Harness, address};

/// The relay's action on packets from clients. All but `Pass`, `Stall` and `Refuse` apply once, then the relay
/// passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    Pass,
    /// Receives all packets, sends no response.
    Stall,
    /// Closes connections on accept.
    Refuse,
    /// Closes the connection in place of the next COMMIT.
    CutBeforeCommit,
    /// Passes the next COMMIT, receives the response, drops it, and closes the connection.
    CutAfterCommit,
    /// Swallows the next ROLLBACK.
    SwallowRollback,
    /// Closes the connection after this many packets.
    CutAfter(usize),
}

/// COM_STMT_CLOSE: a packet of five bytes, the first of its exchange, with the command's number.
const STATEMENT_CLOSE: &[u8] = &[5, 0, 0, 0, 0x19];

/// A store that connects to its database through a relay.
pub(crate) async fn behind_relay(harness: &Harness, config: StoreConfig) -> (Relay, Store) {
    let text = harness.url.expose();
    let (account, place) = text.rsplit_once('@').expect("an account");
    let (server, name) = place.split_once('/').expect("a database");
    let relay = Relay::before(server.to_owned()).await;
    let url = address(&format!("{account}@{}/{name}?ssl-mode=disabled", relay.address));
    let store = Store::connect(&url, config).await.expect("a valid address");
    (relay, store)
}

/// A running relay; it ends when dropped.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    accepting: tokio::task::JoinHandle<()>,
}

struct Shared {
    rule: Mutex<Rule>,
    given_up: AtomicUsize,
    /// Raised to cut every connection.
    cut: watch::Sender<u64>,
}

impl Relay {
    pub(crate) async fn before(database: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            rule: Mutex::new(Rule::Pass),
            given_up: AtomicUsize::new(0),
            cut: watch::Sender::new(0),
        });
        let accepting = tokio::spawn(accept(listener, database, shared.clone()));
        Self { address, shared, accepting }
    }

    pub(crate) fn set(&self, rule: Rule) {
        *self.shared.rule() = rule;
    }

    /// Returns true while a rule that applies once has not applied yet.
    pub(crate) fn is_armed(&self) -> bool {
        *self.shared.rule() != Rule::Pass
    }

    /// Returns the number of prepared statements that clients have closed.
    pub(crate) fn statements_closed(&self) -> usize {
        self.shared.given_up.load(Ordering::SeqCst)
    }

    pub(crate) fn cut_all(&self) {
        self.shared.cut.send_modify(|cuts| *cuts += 1);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// The action for one packet.
enum Step {
    Forward,
    Swallow,
    Cut,
    ForwardThenCut,
}

impl Shared {
    fn rule(&self) -> std::sync::MutexGuard<'_, Rule> {
        self.rule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step(&self, packet: &[u8]) -> Step {
        if packet.windows(STATEMENT_CLOSE.len()).any(|window| window == STATEMENT_CLOSE) {
            self.given_up.fetch_add(1, Ordering::SeqCst);
        }
        // The command byte of a text query, then the text.
        let is_rollback = packet.windows(9).any(|window| window == b"\x03ROLLBACK");
        let is_commit = packet.windows(7).any(|window| window == b"\x03COMMIT");
        let mut rule = self.rule();
        let (step, next) = match *rule {
            Rule::Pass => (Step::Forward, Rule::Pass),
            Rule::Stall => (Step::Swallow, Rule::Stall),
            Rule::Refuse => (Step::Cut, Rule::Refuse),
            Rule::CutBeforeCommit if is_commit => (Step::Cut, Rule::Pass),
            Rule::CutAfterCommit if is_commit => (Step::ForwardThenCut, Rule::Pass),
            Rule::SwallowRollback if is_rollback => (Step::Swallow, Rule::Pass),
            Rule::CutAfter(0) => (Step::Cut, Rule::Pass),
            Rule::CutAfter(packets) => (Step::Forward, Rule::CutAfter(packets - 1)),
            other => (Step::Forward, other),
        };
        *rule = next;
        step
    }
}

async fn accept(listener: TcpListener, database: String, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        if *shared.rule() != Rule::Refuse {
            tokio::spawn(relay(client, database.clone(), shared.clone()));
        }
    }
}

async fn relay(mut client: TcpStream, database: String, shared: Arc<Shared>) {
    let mut cut = shared.cut.subscribe();
    let Ok(mut server) = TcpStream::connect(database).await else { return };
    let (mut from_client, mut from_server) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        // Leaving the loop closes both ends.
        tokio::select! {
            _ = cut.changed() => return,
            read = client.read(&mut from_client) => {
                let Ok(length @ 1..) = read else { return };
                let step = shared.step(&from_client[..length]);
                if matches!(step, Step::Cut) {
                    return;
                }
                if !matches!(step, Step::Swallow) && server.write_all(&from_client[..length]).await.is_err() {
                    return;
                }
                if matches!(step, Step::ForwardThenCut) {
                    let _answer = server.read(&mut from_server).await;
                    return;
                }
            }
            read = server.read(&mut from_server) => {
                let Ok(length @ 1..) = read else { return };
                if client.write_all(&from_server[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}
