//! A TCP relay in front of a database, which breaks connections at chosen packets.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use drain_worker::store::{Store, StoreConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};

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

/// ER_LOCK_DEADLOCK, 1213, in an ERR packet after its header of four bytes.
const DEADLOCK: &[u8] = &[0xff, 0xbd, 0x04];

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

/// A variable of a session's status, and where its value goes.
type StatusQuestion = (String, oneshot::Sender<u64>);

struct Shared {
    rule: Mutex<Rule>,
    given_up: AtomicUsize,
    deadlocks: AtomicUsize,
    sessions: Mutex<Vec<mpsc::UnboundedSender<StatusQuestion>>>,
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
            deadlocks: AtomicUsize::new(0),
            sessions: Mutex::default(),
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

    /// Returns the number of deadlocks that the server has reported.
    pub(crate) fn deadlocks(&self) -> usize {
        self.shared.deadlocks.load(Ordering::SeqCst)
    }

    /// Returns the server's own value of a session's status variable, for each open session. Ask while all are idle.
    pub(crate) async fn session_status(&self, variable: &str) -> Vec<u64> {
        let sessions = self.shared.sessions.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut values = Vec::new();
        for session in sessions {
            let (sender, receiver) = oneshot::channel();
            let _closed = session.send((variable.to_owned(), sender));
            values.extend(receiver.await);
        }
        values
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
    let mut is_asked = false;
    let (asking, mut questions) = mpsc::unbounded_channel();
    shared.sessions.lock().unwrap_or_else(PoisonError::into_inner).push(asking);
    loop {
        // Leaving the loop closes both ends.
        tokio::select! {
            _ = cut.changed() => return,
            // The driver still pings a connection that it returns to its pool.
            Some((variable, answer)) = questions.recv(), if !is_asked => {
                let _gone = answer.send(status(&mut server, &variable).await);
            }
            read = client.read(&mut from_client) => {
                let Ok(length @ 1..) = read else { return };
                is_asked = true;
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
                is_asked = false;
                if from_server[..length].get(4..7) == Some(DEADLOCK) {
                    shared.deadlocks.fetch_add(1, Ordering::SeqCst);
                }
                if client.write_all(&from_server[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Asks the server for a session's status variable, between two statements of the client.
async fn status(server: &mut TcpStream, variable: &str) -> u64 {
    let text = format!("\x03SHOW SESSION STATUS LIKE '{variable}'");
    let mut packet = vec![u8::try_from(text.len()).expect("short"), 0, 0, 0];
    packet.extend(text.as_bytes());
    server.write_all(&packet).await.expect("sends");
    let (mut response, mut chunk, mut value) = (Vec::new(), vec![0; 4_096], None);
    loop {
        // Each packet has three bytes of length and a number before its payload.
        while let Some(payload) = response.get(..3).and_then(|head: &[u8]| {
            let length = usize::from(head[0]) + usize::from(head[1]) * 256;
            response.get(4..4 + length)
        }) {
            let end = 4 + payload.len();
            // The row has name and value, each after its length; the packet that follows ends the rows.
            let row = payload.strip_prefix(&[u8::try_from(variable.len()).expect("short")]);
            let digits = row.and_then(|row| row.strip_prefix(variable.as_bytes())).map(|row| &row[1..]);
            match (digits, value) {
                (Some(digits), _) => value = std::str::from_utf8(digits).expect("digits").parse().ok(),
                (None, Some(value)) => return value,
                (None, None) => {}
            }
            response.drain(..end);
        }
        let length = server.read(&mut chunk).await.expect("responds");
        response.extend(&chunk[..length]);
    }
}
