//! Routes of topics: their queues and brokers.

mod cache;
mod rest;
mod selector;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) use self::cache::RouteCache;
pub(crate) use self::rest::BrokerRests;
pub(crate) use self::selector::Avoid;
use crate::endpoints::Endpoints;
use crate::error::ClientError;
use crate::protocol::{MessageQueue, MessageType, Permission};
use crate::topic_type::TopicType;

/// Broker id of a master; every other id is a slave's.
const MASTER_ID: i32 = 0;

/// A broker as a route names it. Several brokers share an endpoint behind a proxy in cluster mode.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BrokerKey {
    pub(crate) endpoints: Endpoints,
    pub(crate) name: String,
}

/// The broker and queue of a call.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) broker: Arc<BrokerKey>,
    pub(crate) queue: MessageQueue,
    /// Calls of this kind, a send or a receive, at the broker now. All queues of the broker share it.
    calls: Arc<AtomicUsize>,
}

/// Counts a call until it is dropped.
#[derive(Debug)]
pub(crate) struct CallGuard<'a>(&'a AtomicUsize);

impl Target {
    /// The target of a broker that is among the `known` shares its count of calls.
    fn new<'a>(broker: BrokerKey, queue: MessageQueue, known: impl IntoIterator<Item = &'a Self>) -> Self {
        let known = known.into_iter().find(|known| *known.broker == broker);
        let (broker, calls) = known.map_or_else(
            || (Arc::new(broker), Arc::default()),
            |known| (known.broker.clone(), known.calls.clone()),
        );
        Self { broker, queue, calls }
    }

    pub(crate) fn begin_call(&self) -> CallGuard<'_> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        CallGuard(&self.calls)
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

impl Drop for CallGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The brokers of a topic.
#[derive(Debug)]
pub(crate) struct Route {
    /// One entry per writable queue of a master, so that a round robin loads queues evenly.
    writable: Vec<Target>,
    /// One entry per broker with readable queues: a receive reads all queues of a broker. A slave stands in for a master
    /// that the route does not name.
    readable: Vec<Target>,
    /// Readable queues: broker name and number.
    queues: Vec<(String, i32)>,
    next_write: AtomicUsize,
    next_read: AtomicUsize,
}

impl Route {
    /// `access_point` has the addresses of brokers that the server names without one. Calls by the `previous` route still
    /// count.
    fn new(access_point: &Endpoints, queues: Vec<MessageQueue>, previous: Option<&Self>) -> Self {
        let brokers = queues.iter().filter_map(|queue| queue.broker.as_ref());
        let masters: HashSet<String> =
            brokers.filter(|broker| broker.id == MASTER_ID).map(|broker| broker.name.clone()).collect();
        let mut route = Self {
            writable: Vec::new(),
            readable: Vec::new(),
            queues: Vec::new(),
            // A random start spreads clients over brokers.
            next_write: AtomicUsize::new(rand::random::<u16>().into()),
            next_read: AtomicUsize::new(rand::random::<u16>().into()),
        };
        for queue in queues {
            let Some(broker) = queue.broker.clone() else { continue };
            let is_master = broker.id == MASTER_ID;
            if !is_master && masters.contains(&broker.name) {
                continue;
            }
            let endpoints = broker.endpoints.as_ref().and_then(Endpoints::from_protocol);
            let endpoints = endpoints.unwrap_or_else(|| access_point.clone());
            let permission = queue.permission();
            let broker = BrokerKey { endpoints, name: broker.name };
            let (writable, readable) =
                previous.map_or((&[][..], &[][..]), |route| (&route.writable, &route.readable));
            if is_master && matches!(permission, Permission::Write | Permission::ReadWrite) {
                let known = route.writable.iter().chain(writable);
                route.writable.push(Target::new(broker.clone(), queue.clone(), known));
            }
            if matches!(permission, Permission::Read | Permission::ReadWrite) {
                route.add_readable(Target::new(broker, queue, readable));
            }
        }
        route
    }

    fn add_readable(&mut self, target: Target) {
        let queue = (target.broker.name.clone(), target.queue.id);
        match self.readable.iter().find(|known| known.broker.name == target.broker.name) {
            // Of several slaves the first is read.
            Some(known) if known.broker != target.broker => return,
            Some(_) => {}
            None => self.readable.push(target),
        }
        self.queues.push(queue);
    }

    /// # Errors
    /// [`ClientError::TopicType`] if the topic's queues take other messages than those of `needed`. A server that names no
    /// types takes all.
    pub(crate) fn check_type(&self, topic: &str, needed: TopicType) -> Result<(), ClientError> {
        let Some(Target { queue, .. }) = self.writable.first() else { return Ok(()) };
        let needed_type = i32::from(MessageType::from(needed));
        if queue.accept_message_types.is_empty() || queue.accept_message_types.contains(&needed_type) {
            return Ok(());
        }
        let accepted: Vec<_> = queue.accept_message_types().map(MessageType::name).collect();
        Err(ClientError::TopicType { topic: topic.to_owned(), accepted: accepted.join(", "), needed })
    }

    pub(crate) const fn has_writable(&self) -> bool {
        !self.writable.is_empty()
    }

    /// Endpoints of the writable queues, each once.
    pub(crate) fn write_endpoints(&self) -> BTreeSet<&Endpoints> {
        self.writable.iter().map(|target| &target.broker.endpoints).collect()
    }

    /// One target for each readable broker.
    pub(crate) fn read_targets(&self) -> &[Target] {
        &self.readable
    }

    pub(crate) fn queues(&self) -> &[(String, i32)] {
        &self.queues
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Broker, MessageType};

    fn queue(name: &str, id: i32, port: u16, permission: Permission) -> MessageQueue {
        let endpoints: Endpoints = format!("127.0.0.1:{port}").parse().expect("valid");
        let broker = Broker { name: name.to_owned(), id, endpoints: Some(endpoints.to_protocol()) };
        MessageQueue { broker: Some(broker), permission: permission.into(), ..MessageQueue::default() }
    }

    #[test]
    fn a_topic_takes_messages_of_its_types_only() {
        let endpoint = "127.0.0.1:1".parse().expect("valid");
        let route = |types: &[MessageType]| {
            let accept_message_types = types.iter().map(|it| i32::from(*it)).collect();
            let queue = MessageQueue { accept_message_types, ..queue("a", 0, 10, Permission::ReadWrite) };
            Route::new(&endpoint, vec![queue], None)
        };
        let fifo = route(&[MessageType::Fifo]);
        assert_eq!(fifo.check_type("orders", TopicType::Fifo), Ok(()));
        let error = fifo.check_type("orders", TopicType::Normal).expect_err("of another type");
        assert!(!error.is_retryable());
        assert_eq!(error.to_string(), "topic orders takes messages of type FIFO, not NORMAL");
        let several = route(&[MessageType::Normal, MessageType::Delay]);
        assert_eq!(several.check_type("orders", TopicType::Delay), Ok(()));
        assert!(several.check_type("orders", TopicType::Fifo).is_err());
        assert_eq!(route(&[]).check_type("orders", TopicType::Normal), Ok(()), "an old server");
    }

    #[test]
    fn slaves_are_never_written_to_and_read_only_without_their_master() {
        let access_point = "127.0.0.1:1".parse().expect("valid");
        let both = Permission::ReadWrite;
        let queues = vec![
            queue("a", 1, 11, both),
            queue("a", 0, 10, both),
            queue("b", 2, 22, both),
            queue("b", 1, 21, both),
            queue("c", 0, 30, Permission::Read),
            queue("d", 0, 40, Permission::Write),
        ];
        let route = Route::new(&access_point, queues, None);
        let ports = |targets: &[Target]| {
            targets.iter().map(|t| t.broker.endpoints.addresses()[0].port).collect::<Vec<_>>()
        };
        assert_eq!(ports(&route.writable), [10, 40]);
        assert_eq!(ports(&route.readable), [10, 22, 30]);
        assert_eq!(route.queues.len(), 3);
    }
}
