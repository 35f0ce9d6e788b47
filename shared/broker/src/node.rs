//! The brokers behind one server, and the receipt handles that name them.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::error::Refusal;
use super::faults::Faults;
use super::store::{NotAReceipt, Receipt, Store};

/// A broker behind a server. Clones are cheap.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Number in the cluster.
    pub(crate) number: u32,
    pub(crate) name: Arc<str>,
    pub(crate) is_slave: bool,
    /// A slave's is its master's.
    pub(crate) store: Store,
    pub(crate) faults: Faults,
}

/// The brokers behind one server: one, or all of the cluster.
#[derive(Debug)]
pub(crate) struct Nodes {
    nodes: RwLock<Vec<Node>>,
    next_send: AtomicUsize,
}

impl Nodes {
    /// `nodes` must not be empty.
    pub(crate) fn new(nodes: Vec<Node>) -> Self {
        Self { nodes: RwLock::new(nodes), next_send: AtomicUsize::new(0) }
    }

    pub(crate) fn all(&self) -> Vec<Node> {
        self.nodes.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn pick(&self, choose: impl FnOnce(&[Node]) -> Option<&Node>) -> Result<Node, Refusal> {
        let nodes = self.nodes.read().unwrap_or_else(PoisonError::into_inner);
        choose(&nodes).cloned().ok_or_else(Refusal::stopped)
    }

    /// Returns the broker that stores the next send, round robin over the masters that run, or the one of a message group,
    /// by the group's hash: the name server delists a broker whose connection is closed. A server with a single broker
    /// returns it, even a slave.
    pub(crate) fn next_for_send(&self, group_hash: Option<u32>) -> Result<Node, Refusal> {
        let turn = match group_hash {
            // Other bits than those that choose the queue.
            Some(hash) => hash.rotate_left(16) as usize,
            None => self.next_send.fetch_add(1, Ordering::Relaxed),
        };
        self.pick(|nodes| {
            let masters: Vec<_> =
                nodes.iter().filter(|node| !node.is_slave && !node.store.is_stopped()).collect();
            match turn.checked_rem(masters.len()) {
                Some(index) => masters.get(index).copied(),
                None => nodes.first(),
            }
        })
    }

    /// Returns the broker named `name`. A server with a single broker returns it for any name.
    pub(crate) fn by_name(&self, name: &str) -> Result<Node, Refusal> {
        self.pick(|nodes| match nodes {
            [only] => Some(only),
            several => several.iter().find(|node| &*node.name == name),
        })
    }

    pub(crate) fn first_number(&self) -> u32 {
        self.pick(|nodes| nodes.first()).map_or(0, |node| node.number)
    }

    pub(crate) fn by_number(&self, number: u32) -> Option<Node> {
        self.pick(|nodes| nodes.iter().find(|node| node.number == number)).ok()
    }

    /// Asks the brokers in turn until one answers that has not stopped.
    pub(crate) async fn ask<T, F>(&self, question: impl Fn(Store) -> F) -> Result<T, Refusal>
    where
        F: Future<Output = Result<T, Refusal>>,
    {
        let mut result = Err(Refusal::stopped());
        for node in self.all() {
            result = question(node.store).await;
            if !matches!(&result, Err(refusal) if refusal.is_stopped()) {
                break;
            }
        }
        result
    }

    /// Replaces the broker with the number of `node`, which was restarted.
    pub(crate) fn replace(&self, node: Node) {
        let mut nodes = self.nodes.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = nodes.iter_mut().find(|old| old.number == node.number) {
            *place = node;
        }
    }
}

/// A receipt handle as clients see it: the broker's number, then its receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handle {
    pub(crate) node: u32,
    pub(crate) receipt: Receipt,
}

impl fmt::Display for Handle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:x}.{}", self.node, self.receipt)
    }
}

impl FromStr for Handle {
    type Err = NotAReceipt;

    fn from_str(text: &str) -> Result<Self, NotAReceipt> {
        let (node, receipt) = text.split_once('.').ok_or(NotAReceipt)?;
        let node = u32::from_str_radix(node, 16).map_err(|_| NotAReceipt)?;
        Ok(Self { node, receipt: receipt.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_names_its_broker() {
        let receipt = Receipt { topic: 1, group: 2, queue: 3, offset: 4, lease: 5, until_ms: 6 };
        let handle = Handle { node: 17, receipt };
        assert_eq!(handle.to_string(), "11.1.2.3.4.5.6");
        assert_eq!(handle.to_string().parse(), Ok(handle));
        for text in ["", "1", "x.1.2.3.4.5.6", "1.2.3.4.5.6"] {
            assert_eq!(text.parse::<Handle>(), Err(NotAReceipt), "{text}");
        }
    }
}
